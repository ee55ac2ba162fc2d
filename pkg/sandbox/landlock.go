package sandbox

import (
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// rulesetAttributes is struct landlock_ruleset_attr (linux/landlock.h).
type rulesetAttributes struct {
	files, network, scopes uint64
}

// portAttributes is struct landlock_net_port_attr.
type portAttributes struct {
	access, port uint64
}

// Constants that golang.org/x/sys 0.22 lacks.
const (
	accessIoctl      = 1 << 15
	scopeAbstract    = 1 << 0
	scopeSignal      = 1 << 1
	ruleTypeNetPort  = 2
	ruleTypePath     = 1
	firstWithNetwork = 4
	firstWithScopes  = 6
)

const (
	accessRead    = unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_READ_DIR
	accessExecute = unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_EXECUTE
	accessRun     = accessRead | unix.LANDLOCK_ACCESS_FS_EXECUTE
	accessDevice  = unix.LANDLOCK_ACCESS_FS_READ_FILE | accessFileWrite | accessIoctl
	// accessWrite makes no devices.
	accessWrite = accessRead | accessFileWrite | unix.LANDLOCK_ACCESS_FS_REMOVE_DIR | unix.LANDLOCK_ACCESS_FS_REMOVE_FILE |
		unix.LANDLOCK_ACCESS_FS_MAKE_DIR | unix.LANDLOCK_ACCESS_FS_MAKE_REG | unix.LANDLOCK_ACCESS_FS_MAKE_SYM |
		unix.LANDLOCK_ACCESS_FS_MAKE_FIFO | unix.LANDLOCK_ACCESS_FS_MAKE_SOCK | unix.LANDLOCK_ACCESS_FS_REFER
	accessFileWrite = unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_TRUNCATE
	// accessFile are the rights that a rule about a file may have.
	accessFile = accessExecute | accessFileWrite | accessIoctl
)

// filesByVersion has the file access rights of each version of the interface.
var filesByVersion = []uint64{0, 1<<13 - 1, 1<<14 - 1, 1<<15 - 1, 1<<15 - 1, 1<<16 - 1}

// RestrictTool applies Landlock to this thread, and so to the program that it executes: the program
// and others execute only files below programs, read only those and files below read, and write
// only the devices. The thread must have no_new_privs.
func RestrictTool(programs, read []string, devices ...string) error {
	return Role{Read: read, programs: programs, devices: devices}.restrict()
}

// restrict applies Landlock (landlock(7)) to this thread: only files, directories and TCP ports of
// the role, and no signals and abstract sockets of other processes. Files that are absent get no
// rule. A kernel without Landlock is not an error: seccomp allows roles without paths no open(2).
func (r Role) restrict() error {
	version, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno == unix.ENOSYS || errno == unix.EOPNOTSUPP {
		return nil
	}
	if errno != 0 {
		return fmt.Errorf("landlock: %w", errno)
	}
	attributes := rulesetAttributes{files: filesByVersion[min(int(version), len(filesByVersion)-1)]}
	if version >= firstWithNetwork {
		attributes.network = unix.LANDLOCK_ACCESS_NET_BIND_TCP | unix.LANDLOCK_ACCESS_NET_CONNECT_TCP
	}
	if version >= firstWithScopes {
		attributes.scopes = scopeAbstract | scopeSignal
	}
	ruleset, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attributes)), unsafe.Sizeof(attributes), 0)
	if errno != 0 {
		return fmt.Errorf("landlock: %w", errno)
	}
	defer unix.Close(int(ruleset))
	if err := r.addRules(int(ruleset), attributes); err != nil {
		return err
	}
	if _, _, errno := unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, ruleset, 0, 0); errno != 0 {
		return fmt.Errorf("landlock: %w", errno)
	}
	return nil
}

func (r Role) addRules(ruleset int, handled rulesetAttributes) error {
	allow := func(access uint64, paths ...string) error {
		for _, path := range paths {
			if err := allowPath(ruleset, path, access&handled.files); err != nil {
				return fmt.Errorf("landlock: %s: %w", path, err)
			}
		}
		return nil
	}
	err := errors.Join(
		allow(accessExecute, self), allow(accessRead, r.Read...), allow(accessWrite, r.Write...), allow(accessRun, r.programs...),
		allow(accessDevice, r.devices...),
	)
	if err != nil || handled.network == 0 {
		return err
	}
	for _, port := range r.Connect {
		err = errors.Join(err, allowPort(ruleset, port, unix.LANDLOCK_ACCESS_NET_CONNECT_TCP))
	}
	for _, port := range r.Bind {
		err = errors.Join(err, allowPort(ruleset, port, unix.LANDLOCK_ACCESS_NET_BIND_TCP))
	}
	return err
}

func allowPath(ruleset int, path string, access uint64) error {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ENAMETOOLONG) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var status unix.Stat_t
	if err := unix.Fstat(fd, &status); err != nil {
		return err
	}
	if status.Mode&unix.S_IFMT != unix.S_IFDIR {
		access &= accessFile
	}
	rule := unix.LandlockPathBeneathAttr{Allowed_access: access, Parent_fd: int32(fd)}
	return addRule(ruleset, ruleTypePath, unsafe.Pointer(&rule))
}

func allowPort(ruleset int, port uint16, access uint64) error {
	rule := portAttributes{access, uint64(port)}
	return addRule(ruleset, ruleTypeNetPort, unsafe.Pointer(&rule))
}

func addRule(ruleset int, kind uintptr, rule unsafe.Pointer) error {
	_, _, errno := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, uintptr(ruleset), kind, uintptr(rule), 0, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}
