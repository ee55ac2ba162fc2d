package reader

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"lkt/sandbox"
	"lkt/storage/disk"
	"lkt/storage/table"
)

// Reader is a connection to a process that parses. It is for one goroutine.
type Reader struct {
	conn sandbox.Conn
}

var _ Parser = (*Reader)(nil)

// Start starts this program as the process that parses, for which its main calls [Serve]. The
// process ends with this one.
func Start() (*Reader, error) {
	roles, err := sandbox.Parse(program, rolesFile)
	if err != nil {
		return nil, err
	}
	ours, theirs, err := sandbox.NewPair()
	if err != nil {
		return nil, err
	}
	if err := roles["reader"].Start(struct{}{}, int(theirs)); err != nil {
		return nil, err
	}
	return &Reader{ours}, nil
}

// Filesystem implements [Parser].
func (r *Reader) Filesystem(device *os.File) (disk.Filesystem, error) {
	a, err := r.ask(device, request{Kind: askFilesystem})
	if err != nil {
		return disk.Filesystem{}, err
	}
	if a.Filesystem == nil {
		return disk.Filesystem{}, errMalformed("no file system")
	}
	if err := a.Filesystem.Check(); err != nil {
		return disk.Filesystem{}, errMalformed(err)
	}
	return *a.Filesystem, nil
}

// Extent implements [Parser].
func (r *Reader) Extent(device *os.File, kind string, size int64) (disk.Extent, error) {
	a, err := r.ask(device, request{Kind: askExtent, Type: kind, Size: size})
	if err != nil {
		return disk.Extent{}, err
	}
	if a.Extent == nil {
		return disk.Extent{}, errMalformed("no extent")
	}
	if err := a.Extent.Check(size); err != nil {
		return disk.Extent{}, errMalformed(err)
	}
	return *a.Extent, nil
}

// IsUnusedExt4 implements [Parser].
func (r *Reader) IsUnusedExt4(device *os.File) (bool, error) {
	a, err := r.ask(device, request{Kind: askUnused})
	if err != nil {
		return false, err
	}
	if a.Unused == nil {
		return false, errMalformed("no result")
	}
	return *a.Unused, nil
}

// Plan implements [Parser].
func (r *Reader) Plan(device *os.File, of table.Disk) (table.Plan, error) {
	a, err := r.ask(device, request{Kind: askPlan, Disk: of})
	if err != nil {
		return table.Plan{}, err
	}
	if a.Plan == nil {
		return table.Plan{}, errMalformed("no plan")
	}
	if err := a.Plan.Check(of); err != nil {
		return table.Plan{}, errMalformed(err)
	}
	return *a.Plan, nil
}

// ask passes the device, for reading only, and returns the answer.
func (r *Reader) ask(device *os.File, asked request) (answer, error) {
	text, err := json.Marshal(asked)
	if err != nil {
		return answer{}, err
	}
	readable, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", device.Fd()), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return answer{}, fmt.Errorf("open %s for reading: %w", device.Name(), err)
	}
	defer unix.Close(readable)
	if err := unix.Sendmsg(int(r.conn), text, unix.UnixRights(readable), nil, unix.MSG_NOSIGNAL); err != nil {
		return answer{}, ended(err)
	}
	a, err := receiveAnswer(r.conn)
	if err != nil {
		return answer{}, ended(err)
	}
	return a, a.error()
}

func ended(err error) error {
	if errors.Is(err, sandbox.ErrClosed) || errors.Is(err, unix.EPIPE) {
		return errors.New("the process that reads disks ended: perhaps the content of the disk is an attack")
	}
	return err
}

func receiveAnswer(c sandbox.Conn) (a answer, err error) {
	var text []byte
	buffer := make([]byte, sandbox.MaxMessage)
	for {
		part, err := c.Receive(buffer)
		if err != nil {
			return a, err
		}
		if text = append(text, part...); len(text) > maxAnswer {
			return a, errMalformed("too long")
		}
		if len(part) < sandbox.MaxMessage {
			break
		}
	}
	if err := json.Unmarshal(text, &a); err != nil {
		return a, errMalformed(err)
	}
	return a, nil
}
