package shutdown

import "syscall"

// Mode is a kind of shutdown.
type Mode byte

// The modes, each as the byte that requests it.
const (
	PowerDown Mode = 'p'
	Reboot    Mode = 'r'
	Halt      Mode = 'h'
)

var modes = map[Mode]struct {
	name string
	// signal is the one with which PID 1 shuts down in this mode.
	signal syscall.Signal
}{
	PowerDown: {"powerdown", syscall.SIGUSR2},
	Reboot:    {"reboot", syscall.SIGINT},
	Halt:      {"halt", syscall.SIGUSR1},
}

// Parse returns the mode with a name: powerdown, reboot or halt.
func Parse(name string) (m Mode, found bool) {
	for m, one := range modes {
		if one.name == name {
			return m, true
		}
	}
	return 0, false
}

func (m Mode) String() string { return modes[m].name }
