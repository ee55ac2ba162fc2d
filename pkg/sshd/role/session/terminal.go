package session

import (
	"encoding/binary"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"lkt/sshd/message"
)

// openTerminal opens both sides of a new terminal of this user (pty(7)).
func openTerminal() (master, slave *os.File, name string, err error) {
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, nil, "", fmt.Errorf("/dev/ptmx: %w", err)
	}
	master = os.NewFile(uintptr(fd), "terminal")
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		master.Close()
		return nil, nil, "", fmt.Errorf("terminal: %w", err)
	}
	name = fmt.Sprintf("/dev/pts/%d", number)
	peer, err := unix.Open(name, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		master.Close()
		return nil, nil, "", fmt.Errorf("%s: %w", name, err)
	}
	return master, os.NewFile(uintptr(peer), name), name, nil
}

func setSize(terminal *os.File, s message.Size) error {
	limit := func(n uint32) uint16 { return uint16(min(n, 1<<16-1)) }
	return unix.IoctlSetWinsize(int(terminal.Fd()), unix.TIOCSWINSZ, &unix.Winsize{
		Row: limit(s.Rows), Col: limit(s.Columns), Xpixel: limit(s.Width), Ypixel: limit(s.Height),
	})
}

// Terminal modes (RFC 4254 section 8, RFC 8160), by opcode.
var (
	characters = map[byte]int{
		1: unix.VINTR, 2: unix.VQUIT, 3: unix.VERASE, 4: unix.VKILL, 5: unix.VEOF, 6: unix.VEOL, 7: unix.VEOL2,
		8: unix.VSTART, 9: unix.VSTOP, 10: unix.VSUSP, 12: unix.VREPRINT, 13: unix.VWERASE, 14: unix.VLNEXT, 18: unix.VDISCARD,
	}
	inputFlags = map[byte]uint32{
		30: unix.IGNPAR, 31: unix.PARMRK, 32: unix.INPCK, 33: unix.ISTRIP, 34: unix.INLCR, 35: unix.IGNCR, 36: unix.ICRNL,
		37: unix.IUCLC, 38: unix.IXON, 39: unix.IXANY, 40: unix.IXOFF, 41: unix.IMAXBEL, 42: unix.IUTF8,
	}
	localFlags = map[byte]uint32{
		50: unix.ISIG, 51: unix.ICANON, 52: unix.XCASE, 53: unix.ECHO, 54: unix.ECHOE, 55: unix.ECHOK, 56: unix.ECHONL,
		57: unix.NOFLSH, 58: unix.TOSTOP, 59: unix.IEXTEN, 60: unix.ECHOCTL, 61: unix.ECHOKE, 62: unix.PENDIN,
	}
	outputFlags = map[byte]uint32{
		70: unix.OPOST, 71: unix.OLCUC, 72: unix.ONLCR, 73: unix.OCRNL, 74: unix.ONOCR, 75: unix.ONLRET,
	}
	controlFlags = map[byte]uint32{92: unix.PARENB, 93: unix.PARODD}
)

// setModes applies encoded terminal modes. Unknown ones are skipped, and so are speeds, which a
// pseudo-terminal lacks.
func setModes(terminal *os.File, modes []byte) error {
	state, err := unix.IoctlGetTermios(int(terminal.Fd()), unix.TCGETS)
	if err != nil {
		return err
	}
	applyModes(state, modes)
	return unix.IoctlSetTermios(int(terminal.Fd()), unix.TCSETS, state)
}

const (
	modeEnd        = 0
	modeUndefined  = 160 // from here the argument's size is unknown
	disabledInSSH  = 255
	disabledInUnix = 0
)

func applyModes(state *unix.Termios, modes []byte) {
	for len(modes) >= 5 && modes[0] != modeEnd && modes[0] < modeUndefined {
		code, value := modes[0], binary.BigEndian.Uint32(modes[1:])
		modes = modes[5:]
		if index, ok := characters[code]; ok {
			if value == disabledInSSH {
				value = disabledInUnix
			}
			state.Cc[index] = byte(value)
			continue
		}
		for _, group := range []struct {
			flags map[byte]uint32
			word  *uint32
		}{{inputFlags, &state.Iflag}, {localFlags, &state.Lflag}, {outputFlags, &state.Oflag}, {controlFlags, &state.Cflag}} {
			if flag, ok := group.flags[code]; ok && value != 0 {
				*group.word |= flag
			} else if ok {
				*group.word &^= flag
			}
		}
		if code == 90 || code == 91 { // CS7, CS8
			if value != 0 {
				state.Cflag = state.Cflag&^unix.CSIZE | map[byte]uint32{90: unix.CS7, 91: unix.CS8}[code]
			}
		}
	}
}
