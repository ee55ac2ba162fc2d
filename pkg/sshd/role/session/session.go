// Package session is the process of a login. It has the user and the rights of the user, starts
// programs, and hands their input and output to the speaker. The speaker can ask for nothing that
// the user could not do anyway.
package session

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"

	"lkt/sshd/channel"
	"lkt/sshd/message"
	"lkt/sshd/setup"
)

// maxChannels bounds what a speaker can make this process keep.
const maxChannels = 256

type session struct {
	setup   setup.Setup
	speaker *channel.Conn

	mutex    sync.Mutex
	programs map[uint32]*program
	sockets  map[uint32]net.Listener
}

// Run serves the speaker until it ends. Then terminals hang up and listeners close.
func Run(s setup.Setup) error {
	// When memory is short, the kernel ends programs of logins before the server. It allows no
	// lower score than that of the container.
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte("500"), 0)
	speaker, err := channel.Open(setup.SessionSpeaker)
	if err != nil {
		return err
	}
	// A directory that is missing or that the user may not enter is no reason to refuse the login.
	if os.Chdir(s.User.Home) != nil {
		_ = os.Chdir("/")
	}
	v := &session{setup: s, speaker: speaker, programs: map[uint32]*program{}, sockets: map[uint32]net.Listener{}}
	defer v.hangUp()
	for {
		m, _, err := speaker.Receive(nil)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := v.handle(m); err != nil {
			return err
		}
	}
}

func (v *session) handle(m message.Message) error {
	v.mutex.Lock()
	defer v.mutex.Unlock()
	switch m := m.(type) {
	case *message.Start:
		if v.programs[m.Channel] != nil || len(v.programs) >= maxChannels {
			return message.ErrInvalid
		}
		return v.start(m)
	case *message.Resize:
		if p := v.programs[m.Channel]; p != nil && p.terminal != nil {
			_ = setSize(p.terminal, m.Size)
		}
	case *message.Signal:
		if p := v.programs[m.Channel]; p != nil {
			p.signal(m.Name)
		}
	case *message.Close:
		if p := v.programs[m.Channel]; p != nil {
			p.hangUp()
			delete(v.programs, m.Channel)
		}
		if socket := v.sockets[m.Channel]; socket != nil {
			socket.Close()
			delete(v.sockets, m.Channel)
		}
	case *message.Dial:
		go v.dial(m)
	case *message.Listen:
		if v.sockets[m.Channel] != nil || len(v.sockets) >= maxChannels {
			return message.ErrInvalid
		}
		return v.listen(m)
	default:
		return message.ErrInvalid
	}
	return nil
}

// hangUp closes the terminals. The kernel sends SIGHUP to the programs in their foreground.
func (v *session) hangUp() {
	v.mutex.Lock()
	defer v.mutex.Unlock()
	for _, p := range v.programs {
		p.hangUp()
	}
	for _, socket := range v.sockets {
		socket.Close()
	}
}
