package logd

import (
	"net"
	"os"
	"syscall"
	"time"

	"lkt/init/logs"
)

// serveWriters handles messages of memlogd's clients: a file descriptor to read from, with the name
// of its source as the message.
func (d *daemon) serveWriters(socket *net.UnixConn) {
	for {
		text, files, err := receive(socket)
		if err != nil {
			return
		}
		for _, file := range files {
			d.add(logs.SanitizeName(text), file, maxSources/2)
		}
	}
}

// serveControl handles requests of PID 1 until PID 1 closes the socket: "+NAME" with a file
// descriptor adds a source, "?NAME" is answered once all its output has been read and shown.
func (d *daemon) serveControl(socket *net.UnixConn) {
	for {
		text, files, err := receive(socket)
		if err != nil || text == "" {
			return
		}
		name := text[1:]
		for _, file := range files {
			d.add(name, file, maxSources)
		}
		if text[0] == '?' {
			d.drain(name)
			if _, err := socket.Write([]byte(text)); err != nil {
				return
			}
		}
	}
}

// drain waits until all sources with the name have been read to their end, and the console has
// their lines, for at most a second.
func (d *daemon) drain(name string) {
	for end := time.Now().Add(time.Second); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		waits := false
		for _, s := range d.named(name) {
			waits = !s.drained() || waits
		}
		if !waits && d.console.isEmpty() {
			return
		}
	}
}

// receive returns a message and the pipes or sockets attached to it.
func receive(socket *net.UnixConn) (text string, files []*os.File, err error) {
	data := make([]byte, 512)
	attached := make([]byte, syscall.CmsgSpace(16*4))
	for {
		n, attachedBytes, _, _, err := socket.ReadMsgUnix(data, attached)
		if err != nil {
			return "", nil, err
		}
		messages, err := syscall.ParseSocketControlMessage(attached[:attachedBytes])
		if err != nil {
			continue
		}
		for i := range messages {
			descriptors, err := syscall.ParseUnixRights(&messages[i])
			if err != nil {
				continue
			}
			for _, fd := range descriptors {
				syscall.CloseOnExec(fd)
				if file := streamFile(fd); file != nil {
					files = append(files, file)
				}
			}
		}
		return string(data[:n]), files, nil
	}
}

// streamFile returns a file for a descriptor of a pipe or a socket, which can be polled. It closes
// other descriptors and returns nil.
func streamFile(fd int) *os.File {
	var stat syscall.Stat_t
	err := syscall.Fstat(fd, &stat)
	kind := stat.Mode & syscall.S_IFMT
	if err == nil && (kind == syscall.S_IFIFO || kind == syscall.S_IFSOCK) && syscall.SetNonblock(fd, true) == nil {
		return os.NewFile(uintptr(fd), "source")
	}
	syscall.Close(fd)
	return nil
}
