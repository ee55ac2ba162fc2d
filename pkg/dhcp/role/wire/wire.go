// Package wire is the process that holds the packet sockets. It passes frames on and parses as
// little of them as possible.
package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"lkt/dhcp/channel"
	"lkt/dhcp/packet"
	"lkt/dhcp/setup"
	"lkt/sandbox"
)

type port struct {
	setup.Interface
	kind uint16
	fd   int
}

type wire struct {
	ports  []port
	engine sandbox.Conn
	buffer []byte
	log    func(format string, args ...any)
}

// Run works until the engine ends.
func Run(s setup.Setup, log func(format string, args ...any)) error {
	w := wire{engine: setup.WireEngine, buffer: make([]byte, sandbox.MaxMessage), log: log}
	for at, i := range s.Interfaces {
		first := setup.WireSockets + 2*at
		w.ports = append(w.ports, port{i, packet.EtherIPv4, first}, port{i, packet.EtherARP, first + 1})
	}
	return w.run()
}

func (w *wire) run() error {
	// These two are readable only when the other process has ended: the engine sends only answers.
	ready := []unix.PollFd{{Fd: int32(w.engine), Events: unix.POLLIN}, {Fd: setup.WireLifeline, Events: unix.POLLIN}}
	const neighbours = 2
	for _, p := range w.ports {
		ready = append(ready, unix.PollFd{Fd: int32(p.fd), Events: unix.POLLIN})
	}
	wait, err := w.handleAnswer()
	if err != nil {
		return err
	}
	for {
		limit := unix.NsecToTimespec(int64(min(wait, time.Hour)))
		n, err := unix.Ppoll(ready, &limit, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return fmt.Errorf("poll: %w", err)
		}
		if n == 0 {
			if wait, err = w.ask(channel.Tick{}.Encode()); err != nil {
				return err
			}
			continue
		}
		if ready[0].Revents != 0 || ready[1].Revents != 0 {
			return sandbox.ErrClosed
		}
		for at, p := range w.ports {
			if ready[neighbours+at].Revents == 0 {
				continue
			}
			frame, err := w.receive(p)
			if err != nil { // the interface is down or gone
				w.log("%s: receive: %v", p.Name, err)
			}
			if frame == nil {
				continue
			}
			if wait, err = w.ask(frame); err != nil {
				return err
			}
		}
	}
}

// ask sends a message to the engine and handles its answer.
func (w *wire) ask(message []byte) (wait time.Duration, err error) {
	if err := w.engine.Send(message); err != nil {
		return 0, err
	}
	return w.handleAnswer()
}

// handleAnswer sends the frames of the engine's answer, and returns its Wait.
func (w *wire) handleAnswer() (wait time.Duration, err error) {
	for {
		raw, err := w.engine.Receive(w.buffer)
		if err != nil {
			return 0, err
		}
		message, err := channel.Decode(raw)
		if err != nil {
			return 0, err
		}
		switch m := message.(type) {
		case channel.Wait:
			return max(m.For, 0), nil
		case channel.Frame:
			if err := w.send(m); err != nil {
				return 0, err
			}
		default:
			return 0, errors.New("unexpected message")
		}
	}
}

// send fails only for a frame that the engine may not send. It ignores network errors: the engine
// retransmits.
func (w *wire) send(f channel.Frame) error {
	for _, p := range w.ports {
		if p.Index != f.Interface || p.kind != f.Type {
			continue
		}
		if !permitted(f, p.Hardware) {
			break
		}
		to := &unix.SockaddrLinklayer{Protocol: bigEndian(f.Type), Ifindex: p.Index, Halen: 6}
		copy(to.Addr[:], f.Station[:])
		if err := unix.Sendto(p.fd, f.Packet, 0, to); err != nil {
			w.log("%s: send: %v", p.Name, err)
		}
		return nil
	}
	return errors.New("the engine tried to send a forbidden frame")
}

// receive returns the next frame as an encoded message, or nil without one or if it cannot come
// from a DHCP server.
func (w *wire) receive(p port) ([]byte, error) {
	const most = 2048
	data, control := make([]byte, most), make([]byte, 64)
	size, controlSize, flags, from, err := unix.Recvmsg(p.fd, data, control, 0)
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	link, ok := from.(*unix.SockaddrLinklayer)
	if !ok || flags&unix.MSG_TRUNC != 0 {
		return nil, nil
	}
	f := channel.Frame{Interface: p.Index, Type: p.kind, Checksum: checksumComplete(control[:controlSize]), Packet: data[:size]}
	copy(f.Station[:], link.Addr[:])
	return f.Encode(), nil
}

// checksumComplete reads the status of struct tpacket_auxdata.
func checksumComplete(control []byte) bool {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return true
	}
	for _, m := range messages {
		if m.Header.Level == unix.SOL_PACKET && m.Header.Type == unix.PACKET_AUXDATA && len(m.Data) >= 4 {
			return binary.NativeEndian.Uint32(m.Data)&unix.TP_STATUS_CSUMNOTREADY == 0
		}
	}
	return true
}
