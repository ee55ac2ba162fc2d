package session

import (
	"errors"
	"net"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"lkt/sshd/message"
	"lkt/sshd/settings"
)

// SFTP is the name of the process that serves files, and of its command in authorized_keys.
const SFTP = "internal-sftp"

// program is a program that a client started.
type program struct {
	pid int
	// terminal is the master side, or nil.
	terminal *os.File
	done     bool
}

// searchPath is the PATH of a login.
const searchPath = "/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/bin"

// start starts a program and answers the speaker.
func (v *session) start(m *message.Start) error {
	p, files, err := v.launch(m)
	if err != nil {
		return v.speaker.Send(&message.Started{Channel: m.Channel})
	}
	v.programs[m.Channel] = p
	numbers := make([]int, len(files))
	for i, file := range files {
		numbers[i] = int(file.Fd())
		if err := unix.SetNonblock(numbers[i], true); err != nil {
			return err
		}
	}
	err = v.speaker.Send(&message.Started{Channel: m.Channel, OK: true, Files: uint32(len(files))}, numbers...)
	for _, file := range files {
		if file != p.terminal {
			file.Close()
		}
	}
	go v.wait(m.Channel, p)
	return err
}

// launch starts the program. The files are the speaker's: a terminal, or input, output and errors.
func (v *session) launch(m *message.Start) (*program, []*os.File, error) {
	argv, executable, err := v.arguments(m)
	if err != nil {
		return nil, nil, err
	}
	environment := v.environment(m)
	if argv[0] == SFTP {
		// Its filter forbids signals to threads: Go must not preempt asynchronously.
		environment = append(environment, "GODEBUG=asyncpreemptoff=1")
	}
	attributes := &syscall.ProcAttr{Sys: &syscall.SysProcAttr{Setsid: true}}
	var ours, theirs []*os.File
	var p program
	if m.HasTerminal {
		if !v.setup.Terminal {
			return nil, nil, errors.New("no terminal for this key")
		}
		master, slave, name, err := openTerminal()
		if err != nil {
			return nil, nil, err
		}
		_ = setModes(slave, m.Modes)
		_ = setSize(slave, m.Size)
		environment = append(environment, "SSH_TTY="+name)
		p.terminal = master
		ours, theirs = []*os.File{master}, []*os.File{slave, slave, slave}
		attributes.Sys.Setctty, attributes.Sys.Ctty = true, 0
	} else if ours, theirs, err = pipes(); err != nil {
		return nil, nil, err
	}
	for _, file := range theirs {
		attributes.Files = append(attributes.Files, file.Fd())
	}
	attributes.Env = environment
	p.pid, err = syscall.ForkExec(executable, argv, attributes)
	for _, file := range theirs {
		file.Close()
	}
	if err != nil {
		for _, file := range ours {
			file.Close()
		}
		return nil, nil, err
	}
	return &p, ours, nil
}

// arguments returns the program and its arguments. A command of the key replaces the client's.
func (v *session) arguments(m *message.Start) (argv []string, executable string, err error) {
	kind, command := m.Kind, m.Command
	if forced := v.setup.Command; forced != "" {
		kind, command = message.Exec, forced
	}
	shell := v.setup.User.Shell
	switch {
	case kind == message.Subsystem && command == "sftp", kind == message.Exec && command == SFTP:
		if !v.setup.Settings.SFTP {
			return nil, "", errors.New("sftp is off")
		}
		return []string{SFTP}, "/proc/self/exe", nil
	case kind == message.Subsystem:
		return nil, "", errors.New("unknown subsystem")
	case kind == message.Shell:
		return []string{"-" + path.Base(shell)}, shell, nil
	}
	return []string{path.Base(shell), "-c", command}, shell, nil
}

func (v *session) environment(m *message.Start) []string {
	remote, local := v.setup.Remote, v.setup.Local
	remoteHost, remotePort, _ := net.SplitHostPort(remote)
	localHost, localPort, _ := net.SplitHostPort(local)
	user := v.setup.User
	environment := []string{
		"HOME=" + user.Home, "USER=" + user.Name, "LOGNAME=" + user.Name, "SHELL=" + user.Shell, "PATH=" + searchPath,
		"SSH_CLIENT=" + strings.Join([]string{remoteHost, remotePort, localPort}, " "),
		"SSH_CONNECTION=" + strings.Join([]string{remoteHost, remotePort, localHost, localPort}, " "),
	}
	if m.HasTerminal {
		environment = append(environment, "TERM="+m.Terminal)
	}
	if v.setup.Command != "" {
		environment = append(environment, "SSH_ORIGINAL_COMMAND="+m.Command)
	}
	var names []string
	for _, item := range m.Environment {
		name, _, _ := strings.Cut(item, "=")
		if settings.AcceptsEnvironment(v.setup.Settings.AcceptEnv, name) && !slices.Contains(names, name) {
			names = append(names, name)
			environment = append(environment, item)
		}
	}
	return environment
}

// pipes returns the ends for input, output and errors: ours and those of a program.
func pipes() (ours, theirs []*os.File, err error) {
	for i := range 3 {
		read, write, err := os.Pipe()
		if err != nil {
			for _, file := range append(ours, theirs...) {
				file.Close()
			}
			return nil, nil, err
		}
		if i == 0 {
			read, write = write, read
		}
		ours, theirs = append(ours, read), append(theirs, write)
	}
	return ours, theirs, nil
}

// wait tells the speaker how the program ended.
func (v *session) wait(number uint32, p *program) {
	for errors.Is(unix.Waitid(unix.P_PID, p.pid, nil, unix.WEXITED|unix.WNOWAIT, nil), unix.EINTR) {
	}
	var status syscall.WaitStatus
	v.mutex.Lock()
	p.done = true
	_, _ = syscall.Wait4(p.pid, &status, 0, nil)
	v.mutex.Unlock()
	exited := &message.Exited{Channel: number, Status: uint32(status.ExitStatus())}
	if status.Signaled() {
		exited.Status, exited.Signal = 0, signalName(status.Signal())
	}
	_ = v.speaker.Send(exited)
}

// signals are those of RFC 4254 section 6.9.
var signals = map[string]syscall.Signal{
	"ABRT": syscall.SIGABRT, "ALRM": syscall.SIGALRM, "FPE": syscall.SIGFPE, "HUP": syscall.SIGHUP, "ILL": syscall.SIGILL,
	"INT": syscall.SIGINT, "KILL": syscall.SIGKILL, "PIPE": syscall.SIGPIPE, "QUIT": syscall.SIGQUIT, "SEGV": syscall.SIGSEGV,
	"TERM": syscall.SIGTERM, "USR1": syscall.SIGUSR1, "USR2": syscall.SIGUSR2,
}

func signalName(s syscall.Signal) string {
	for name, number := range signals {
		if number == s {
			return name
		}
	}
	return strings.TrimPrefix(unix.SignalName(s), "SIG") + "@lkt"
}

// signal sends a signal to the program's group, while it is not reaped: then the number may belong
// to another one.
func (p *program) signal(name string) {
	if number, known := signals[name]; known && !p.done {
		_ = syscall.Kill(-p.pid, number)
	}
}

func (p *program) hangUp() {
	if p.terminal != nil {
		p.terminal.Close()
		p.terminal = nil
	}
}
