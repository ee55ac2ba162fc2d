package speaker

import (
	"errors"
	"os"
	"sync"

	"golang.org/x/crypto/ssh"

	"lkt/sshd/channel"
	"lkt/sshd/message"
	"lkt/sshd/settings"
)

// server is a connection after its login. The session process runs the user's programs; it checks
// again what it is asked for.
type server struct {
	conn     *ssh.ServerConn
	session  *channel.Conn
	settings settings.Settings
	// terminal reports whether programs may have terminals.
	terminal bool

	mutex sync.Mutex
	last  uint32
	// answers are the channels of those who wait for messages about a number.
	answers map[uint32]chan answer
	open    int
	// listeners are the numbers of forwarded ports.
	listeners map[forwardedPort]uint32
}

type answer struct {
	message message.Message
	files   []int
}

type forwardedPort struct {
	host string
	port uint32
}

func serve(conn *ssh.ServerConn, channels <-chan ssh.NewChannel, requests <-chan *ssh.Request, session *channel.Conn, s settings.Settings, terminal bool) error {
	v := &server{conn: conn, session: session, settings: s, terminal: terminal, answers: map[uint32]chan answer{}, listeners: map[forwardedPort]uint32{}}
	failed := make(chan error, 2)
	go func() { failed <- v.receive() }()
	go v.serveRequests(requests)
	go func() {
		for c := range channels {
			v.accept(c)
		}
		failed <- nil
	}()
	err := <-failed
	conn.Close()
	return err
}

// receive distributes the messages of the session process.
func (v *server) receive() error {
	for {
		m, files, err := v.session.Receive(filesOf)
		if err != nil {
			return err
		}
		number, ok := numberOf(m)
		if !ok {
			return message.ErrInvalid
		}
		if forward, ok := m.(*message.Forward); ok {
			go v.forward(forward, files[0])
			continue
		}
		v.mutex.Lock()
		waiting := v.answers[number]
		v.mutex.Unlock()
		if waiting == nil {
			channel.CloseAll(files)
			continue
		}
		// A program has at most two messages, Started and Exited.
		select {
		case waiting <- answer{m, files}:
		default:
			channel.CloseAll(files)
			return message.ErrInvalid
		}
	}
}

// filesOf returns the number of descriptors of a message. That of Started depends on the request.
func filesOf(m message.Message) int {
	switch m := m.(type) {
	case *message.Started:
		return int(m.Files)
	case *message.Dialed:
		if m.OK {
			return 1
		}
	case *message.Forward:
		return 1
	}
	return 0
}

func numberOf(m message.Message) (uint32, bool) {
	switch m := m.(type) {
	case *message.Started:
		return m.Channel, true
	case *message.Exited:
		return m.Channel, true
	case *message.Dialed:
		return m.Channel, true
	case *message.Listening:
		return m.Channel, true
	case *message.Forward:
		return m.Channel, true
	}
	return 0, false
}

var errTooMany = errors.New("too many open channels")

// begin reserves a number, or fails if there are too many.
func (v *server) begin() (uint32, chan answer, error) {
	v.mutex.Lock()
	defer v.mutex.Unlock()
	if v.open >= v.settings.Limits.Channels {
		return 0, nil, errTooMany
	}
	v.open++
	v.last++
	answers := make(chan answer, 2)
	v.answers[v.last] = answers
	return v.last, answers, nil
}

// end releases a number, and what the session process has for it.
func (v *server) end(number uint32) {
	v.mutex.Lock()
	delete(v.answers, number)
	v.open--
	v.mutex.Unlock()
	_ = v.session.Send(&message.Close{Channel: number})
}

func (v *server) accept(c ssh.NewChannel) {
	isSession := c.ChannelType() == "session"
	if !isSession && (c.ChannelType() != "direct-tcpip" || !v.settings.Forwarding.Local) {
		_ = c.Reject(ssh.Prohibited, "not allowed")
		return
	}
	number, answers, err := v.begin()
	if err != nil {
		_ = c.Reject(ssh.ResourceShortage, err.Error())
		return
	}
	go func() {
		defer v.end(number)
		if isSession {
			v.serveSession(c, number, answers)
		} else {
			v.serveDirect(c, number, answers)
		}
	}()
}

// open returns a file of the session process, which the runtime polls.
func open(fd int, name string) *os.File { return os.NewFile(uintptr(fd), name) }
