// Package wire is the process that holds the packet sockets and watches the links. It passes frames
// on and parses as little of them as possible.
package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"lkt/dhcp/channel"
	"lkt/dhcp/packet"
	"lkt/dhcp/packet6"
	"lkt/dhcp/setup"
	"lkt/sandbox"
)

// port is a packet socket for one type of packets, on all interfaces.
type port struct {
	kind uint16
	fd   int
}

type wire struct {
	ports   []port
	links   []link // in the order of the setup
	asked   uint16 // the kind of a request to the monitor without an answer yet
	again   bool   // notifications were lost meanwhile
	engine  sandbox.Conn
	buffer  []byte
	netlink []byte
	log     func(format string, args ...any)
}

// Run works until the engine or the actuator ends.
func Run(s setup.Setup, log func(format string, args ...any)) error {
	w := wire{engine: setup.WireEngine, buffer: make([]byte, sandbox.MaxMessage), netlink: make([]byte, 1<<16), log: log}
	for at, kind := range []uint16{packet.EtherIPv4, packet.EtherARP, packet6.EtherIPv6} {
		w.ports = append(w.ports, port{kind, setup.WireSockets + at})
	}
	for _, i := range s.Interfaces {
		w.links = append(w.links, link{name: i.Name})
	}
	return w.run()
}

func (w *wire) run() error {
	ready := []unix.PollFd{
		// Readable only when the other process has ended: the engine sends only answers.
		{Fd: int32(w.engine), Events: unix.POLLIN},
		{Fd: int32(setup.WireLifeline), Events: unix.POLLIN},
		{Fd: setup.WireMonitor, Events: unix.POLLIN},
	}
	const others = 3
	for _, p := range w.ports {
		ready = append(ready, unix.PollFd{Fd: int32(p.fd), Events: unix.POLLIN})
	}
	wait, err := w.handleAnswer()
	if err != nil {
		return err
	}
	if err := w.requestLinks(); err != nil {
		return err
	}
	ask := func(message []byte) (err error) {
		wait, err = w.ask(message)
		return err
	}
	for {
		limit := unix.NsecToTimespec(int64(min(wait, time.Hour)))
		n, err := unix.Ppoll(ready, &limit, nil)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return fmt.Errorf("poll: %w", err)
		case n == 0:
			if err := ask(channel.Tick{}.Encode()); err != nil {
				return err
			}
			continue
		case ready[0].Revents != 0:
			return sandbox.ErrClosed
		}
		if ready[1].Revents != 0 {
			// The actuator has ended, or asks to stop.
			if _, err := setup.WireLifeline.Receive(w.buffer); err != nil {
				return err
			}
			if err := ask(channel.Stop{}.Encode()); err != nil {
				return err
			}
		}
		if ready[2].Revents != 0 {
			if err := w.readLinks(ask); err != nil {
				return err
			}
		}
		for at, p := range w.ports {
			if ready[others+at].Revents == 0 {
				continue
			}
			frame, err := w.receive(p)
			if err != nil { // an interface is down or gone
				w.log("receive: %v", err)
			}
			if frame == nil {
				continue
			}
			if err := ask(frame); err != nil {
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
		if p.kind != f.Type || f.Interface < 0 || f.Interface >= len(w.links) {
			continue
		}
		l := w.links[f.Interface]
		if !l.carrier {
			return nil // it has gone down since the engine knew
		}
		if !permitted(f, l.hardware, l.linkLocal) {
			break
		}
		to := &unix.SockaddrLinklayer{Protocol: bigEndian(f.Type), Ifindex: l.index, Halen: 6}
		copy(to.Addr[:], f.Station[:])
		if err := unix.Sendto(p.fd, f.Packet, 0, to); err != nil {
			w.log("%s: send: %v", l.name, err)
		}
		return nil
	}
	return errors.New("the engine tried to send a forbidden frame")
}

// receive returns the next frame as an encoded message, or nil without one or if it cannot be for
// this client.
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
	source, ok := from.(*unix.SockaddrLinklayer)
	if !ok || flags&unix.MSG_TRUNC != 0 {
		return nil, nil
	}
	for at, l := range w.links {
		if l.index == source.Ifindex && l.carrier {
			f := channel.Frame{Interface: at, Type: p.kind, Checksum: checksumComplete(control[:controlSize]), Packet: data[:size]}
			copy(f.Station[:], source.Addr[:])
			return f.Encode(), nil
		}
	}
	return nil, nil
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
