package modules

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"
	"unsafe"
)

// Dir returns the directory of the running kernel's modules.
func Dir() (string, error) {
	var name syscall.Utsname
	if err := syscall.Uname(&name); err != nil {
		return "", err
	}
	var release []byte
	for _, c := range name.Release {
		if c == 0 {
			break
		}
		release = append(release, byte(c))
	}
	return "/lib/modules/" + string(release), nil
}

// finitModule is the system call number, which package syscall lacks.
var finitModule = map[string]uintptr{"amd64": 313, "arm64": 273}

// moduleInitCompressedFile makes the kernel decompress the file (MODULE_INIT_COMPRESSED_FILE).
const moduleInitCompressedFile = 4

// Insert loads a module into the kernel, which reads the file itself. It succeeds if the module is
// loaded already.
func Insert(path, parameters string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	text, err := syscall.BytePtrFromString(parameters)
	if err != nil {
		return err
	}
	flags := 0
	if !strings.HasSuffix(path, ".ko") {
		flags = moduleInitCompressedFile
	}
	_, _, errno := syscall.Syscall(finitModule[runtime.GOARCH], file.Fd(), uintptr(unsafe.Pointer(text)), uintptr(flags))
	switch {
	case errno == 0, errno == syscall.EEXIST:
		return nil
	case errno == syscall.EPERM:
		return fmt.Errorf("%s: %w\n  fix: load it in an onboot container; PID 1 disables module loading after those", path, errno)
	}
	return fmt.Errorf("%s: %w", path, errno)
}
