package reader

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"lkt/sandbox"
	"lkt/storage/disk"
	"lkt/storage/table"
)

//go:embed roles.json
var rolesFile []byte

const (
	program = "storage"
	// requestsFD is the reader's end of the connection.
	requestsFD sandbox.Conn = 3
	// maxAnswer bounds the JSON of a plan, with two copies of up to 128 KiB of entries in base64.
	maxAnswer = 1 << 20
)

// Serve must be the first call of main. In a process of [Start] it serves requests and ends the
// process. Otherwise it returns.
func Serve() {
	if os.Args[0] != program+"-reader" {
		return
	}
	_, role, err := sandbox.Load(program, rolesFile, &struct{}{})
	if err == nil && role == nil {
		err = errors.New("was not started by its program")
	}
	if err == nil {
		err = role.Enter()
	}
	if err == nil {
		err = serve(requestsFD)
	}
	if err != nil && !errors.Is(err, sandbox.ErrClosed) {
		fmt.Fprintf(os.Stderr, "%s: error: %v\n", os.Args[0], err)
		os.Exit(1)
	}
	os.Exit(0)
}

// device is a file descriptor that is read without Go's poller, and so with one system call.
type device int

func (d device) ReadAt(b []byte, at int64) (int, error) {
	for n := 0; ; {
		count, err := unix.Pread(int(d), b[n:], at+int64(n))
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return n, err
		}
		n += count
		if n == len(b) {
			return n, nil
		}
		if count == 0 {
			return n, io.EOF
		}
	}
}

// serve answers requests until the other end closes.
func serve(c sandbox.Conn) error {
	for {
		asked, fd, err := receiveRequest(c)
		if err != nil {
			return err
		}
		a := parse(asked, device(fd))
		unix.Close(fd)
		if err := sendAnswer(c, a); err != nil {
			return err
		}
	}
}

// parse answers a request.
func parse(asked request, d io.ReaderAt) (a answer) {
	var err error
	switch asked.Kind {
	case askFilesystem:
		var found disk.Filesystem
		found, err = disk.Probe(d)
		a.Filesystem = &found
	case askExtent:
		var found disk.Extent
		found, err = disk.ExtentOf(d, asked.Type, asked.Size)
		a.Extent = &found
	case askUnused:
		found := disk.IsUnusedExt4(d)
		a.Unused = &found
	case askPlan:
		var found table.Plan
		found, err = table.MakePlan(d, asked.Disk)
		a.Plan = &found
	default:
		err = fmt.Errorf("unknown request %q", asked.Kind)
	}
	if err == nil {
		return a
	}
	a = answer{Error: err.Error()}
	for i, one := range known {
		if errors.Is(err, one) {
			a.Is = i + 1
		}
	}
	return a
}

func receiveRequest(c sandbox.Conn) (r request, fd int, err error) {
	text, control := make([]byte, sandbox.MaxMessage), make([]byte, unix.CmsgSpace(4))
	n, controlSize, _, _, err := unix.Recvmsg(int(c), text, control, unix.MSG_CMSG_CLOEXEC)
	if errors.Is(err, unix.EINTR) {
		return receiveRequest(c)
	}
	if err != nil || n == 0 {
		return r, -1, sandbox.ErrClosed
	}
	messages, err := unix.ParseSocketControlMessage(control[:controlSize])
	if err != nil || len(messages) != 1 {
		return r, -1, errors.New("a request without a device")
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		return r, -1, errors.New("a request without a device")
	}
	return r, fds[0], json.Unmarshal(text[:n], &r)
}

// sendAnswer sends an answer in parts. Its last part is shorter than the others.
func sendAnswer(c sandbox.Conn, a answer) error {
	text, err := json.Marshal(a)
	if err != nil {
		return err
	}
	if len(text)%sandbox.MaxMessage == 0 {
		text = append(text, '\n')
	}
	for len(text) > 0 {
		part := text[:min(len(text), sandbox.MaxMessage)]
		if err := c.Send(part); err != nil {
			return err
		}
		text = text[len(part):]
	}
	return nil
}
