package speaker

import (
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"lkt/sshd/channel"
	"lkt/sshd/message"
	"lkt/sshd/settings"
)

// maxEnvironment is the maximum number of environment variables that a client may set.
const maxEnvironment = 64

// program is a session channel (RFC 4254 section 6).
type program struct {
	*server
	number  uint32
	answers chan answer
	channel ssh.Channel
	start   message.Start
	started bool
	files   []*os.File
	// closed is closed when the client has closed the channel.
	closed chan struct{}
}

func (v *server) serveSession(c ssh.NewChannel, number uint32, answers chan answer) {
	opened, requests, err := c.Accept()
	if err != nil {
		return
	}
	p := &program{server: v, number: number, answers: answers, channel: opened, closed: make(chan struct{})}
	p.start.Channel = number
	running := make(chan struct{})
	for r := range requests {
		ok := p.handle(r, running)
		if r.WantReply {
			_ = r.Reply(ok, nil)
		}
	}
	_ = opened.Close()
	close(p.closed)
	if p.started {
		// The terminal hangs up and the pipes close, so that the program may end.
		for _, file := range p.files {
			file.Close()
		}
		<-running
	}
}

func (p *program) handle(r *ssh.Request, running chan struct{}) bool {
	switch r.Type {
	case "pty-req":
		var m struct {
			Terminal                     string
			Columns, Rows, Width, Height uint32
			Modes                        string
		}
		if ssh.Unmarshal(r.Payload, &m) != nil || p.started || p.start.HasTerminal || !p.terminal {
			return false
		}
		p.start.HasTerminal, p.start.Terminal, p.start.Modes = true, m.Terminal, []byte(m.Modes)
		p.start.Size = message.Size{Columns: m.Columns, Rows: m.Rows, Width: m.Width, Height: m.Height}
		return true
	case "env":
		var m struct{ Name, Value string }
		if ssh.Unmarshal(r.Payload, &m) != nil || p.started || len(p.start.Environment) >= maxEnvironment ||
			!settings.AcceptsEnvironment(p.settings.AcceptEnv, m.Name) {
			return false
		}
		p.start.Environment = append(p.start.Environment, m.Name+"="+m.Value)
		return true
	case "window-change":
		var m struct{ Columns, Rows, Width, Height uint32 }
		if ssh.Unmarshal(r.Payload, &m) != nil {
			return false
		}
		return p.session.Send(&message.Resize{Channel: p.number, Size: message.Size(m)}) == nil
	case "signal":
		var m struct{ Name string }
		if ssh.Unmarshal(r.Payload, &m) != nil {
			return false
		}
		return p.session.Send(&message.Signal{Channel: p.number, Name: m.Name}) == nil
	case "shell", "exec", "subsystem":
		if p.started {
			return false
		}
		var m struct{ Command string }
		switch {
		case r.Type == "shell":
			p.start.Kind = message.Shell
		case ssh.Unmarshal(r.Payload, &m) != nil:
			return false
		case r.Type == "exec":
			p.start.Kind, p.start.Command = message.Exec, m.Command
		default:
			p.start.Kind, p.start.Command = message.Subsystem, m.Command
		}
		return p.run(running)
	}
	return false
}

// run starts the program and copies its input and output.
func (p *program) run(running chan struct{}) bool {
	if p.session.Send(&p.start) != nil {
		return false
	}
	a := <-p.answers
	m, ok := a.message.(*message.Started)
	if !ok || !m.OK || len(a.files) == 0 {
		channel.CloseAll(a.files)
		return false
	}
	p.started = true
	exited := make(chan struct{})
	var exit *message.Exited
	go func() {
		defer close(exited)
		select {
		case a := <-p.answers:
			exit, _ = a.message.(*message.Exited)
		case <-p.closed:
		}
	}()
	var copies sync.WaitGroup
	for i, name := range []string{"input", "output", "error"}[:len(a.files)] {
		p.files = append(p.files, open(a.files[i], name))
	}
	files := p.files
	if len(files) == 1 {
		go p.copyInput(files[0], false)
		copies.Add(1)
		go func() {
			defer copies.Done()
			copyTerminal(p.channel, files[0], exited)
		}()
	} else {
		go p.copyInput(files[0], true)
		copies.Add(2)
		for i, to := range []io.Writer{p.channel, p.channel.Stderr()} {
			go func() {
				defer copies.Done()
				_, _ = io.Copy(to, files[1+i])
			}()
		}
	}
	go func() {
		defer close(running)
		copies.Wait()
		<-exited
		for _, file := range files {
			file.Close()
		}
		p.finish(exit)
	}()
	return true
}

// copyInput copies the client's input. At its end a pipe closes; a terminal has no such end.
func (p *program) copyInput(file *os.File, closes bool) {
	_, _ = io.Copy(file, p.channel)
	if closes {
		file.Close()
	}
}

// grace is how long to wait for more output of a terminal after the end of its program, if others
// still have it open.
const grace = 250 * time.Millisecond

// copyTerminal copies the output of a terminal until all programs have closed it, or the one that
// was started has exited and nothing more comes.
func copyTerminal(to io.Writer, terminal *os.File, exited <-chan struct{}) {
	stopped := make(chan struct{})
	defer close(stopped)
	go func() {
		select {
		case <-exited:
			_ = terminal.SetReadDeadline(time.Now().Add(grace))
		case <-stopped:
		}
	}()
	buffer := make([]byte, 32<<10)
	for {
		n, err := terminal.Read(buffer)
		if n > 0 {
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// finish tells the client how the program ended, and closes the channel.
func (p *program) finish(exit *message.Exited) {
	_ = p.channel.CloseWrite()
	if exit != nil && exit.Signal != "" {
		_, _ = p.channel.SendRequest("exit-signal", false, ssh.Marshal(struct {
			Signal         string
			Core           bool
			Text, Language string
		}{exit.Signal, false, "", ""}))
	} else if exit != nil {
		_, _ = p.channel.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{exit.Status}))
	}
	_ = p.channel.Close()
}
