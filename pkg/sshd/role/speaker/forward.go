package speaker

import (
	"io"
	"net"
	"sync"

	"golang.org/x/crypto/ssh"

	"lkt/sshd/channel"
	"lkt/sshd/message"
)

// serveDirect connects a channel to a TCP port (RFC 4254 section 7.2).
func (v *server) serveDirect(c ssh.NewChannel, number uint32, answers chan answer) {
	var m struct {
		Host       string
		Port       uint32
		Originator string
		From       uint32
	}
	if ssh.Unmarshal(c.ExtraData(), &m) != nil || v.session.Send(&message.Dial{Channel: number, Host: m.Host, Port: m.Port}) != nil {
		_ = c.Reject(ssh.ConnectionFailed, "invalid destination")
		return
	}
	a := <-answers
	dialed, ok := a.message.(*message.Dialed)
	if !ok || !dialed.OK {
		channel.CloseAll(a.files)
		_ = c.Reject(ssh.ConnectionFailed, "connection failed")
		return
	}
	socket, err := openSocket(a.files[0])
	if err != nil {
		_ = c.Reject(ssh.ConnectionFailed, "connection failed")
		return
	}
	opened, requests, err := c.Accept()
	if err != nil {
		socket.Close()
		return
	}
	go ssh.DiscardRequests(requests)
	join(opened, socket)
}

func openSocket(fd int) (*net.TCPConn, error) {
	file := open(fd, "socket")
	defer file.Close()
	conn, err := net.FileConn(file)
	if err != nil {
		return nil, err
	}
	socket, ok := conn.(*net.TCPConn)
	if !ok {
		conn.Close()
		return nil, message.ErrInvalid
	}
	return socket, nil
}

// join copies both ways until both sides have ended.
func join(c ssh.Channel, socket *net.TCPConn) {
	var copies sync.WaitGroup
	copies.Add(2)
	go func() {
		defer copies.Done()
		_, _ = io.Copy(socket, c)
		_ = socket.CloseWrite()
	}()
	go func() {
		defer copies.Done()
		_, _ = io.Copy(c, socket)
		_ = c.CloseWrite()
	}()
	copies.Wait()
	socket.Close()
	c.Close()
}

// serveRequests answers requests of the connection (RFC 4254 section 7.1). Clients also ask unknown
// ones to see whether the server is alive.
func (v *server) serveRequests(requests <-chan *ssh.Request) {
	for r := range requests {
		ok, answer := false, []byte(nil)
		if v.settings.Forwarding.Remote {
			switch r.Type {
			case "tcpip-forward":
				ok, answer = v.listen(r.Payload)
			case "cancel-tcpip-forward":
				ok = v.cancel(r.Payload)
			}
		}
		if r.WantReply {
			_ = r.Reply(ok, answer)
		}
	}
}

type forwardRequest struct {
	Host string
	Port uint32
}

func (v *server) listen(payload []byte) (bool, []byte) {
	var m forwardRequest
	if ssh.Unmarshal(payload, &m) != nil {
		return false, nil
	}
	number, answers, err := v.begin()
	if err != nil {
		return false, nil
	}
	if v.session.Send(&message.Listen{Channel: number, Host: m.Host, Port: m.Port}) != nil {
		return false, nil
	}
	a := <-answers
	listening, ok := a.message.(*message.Listening)
	if !ok || !listening.OK {
		v.end(number)
		return false, nil
	}
	v.mutex.Lock()
	v.listeners[forwardedPort{m.Host, listening.Port}] = number
	v.mutex.Unlock()
	if m.Port != 0 {
		return true, nil
	}
	return true, ssh.Marshal(struct{ Port uint32 }{listening.Port})
}

func (v *server) cancel(payload []byte) bool {
	var m forwardRequest
	if ssh.Unmarshal(payload, &m) != nil {
		return false
	}
	v.mutex.Lock()
	number, found := v.listeners[forwardedPort{m.Host, m.Port}]
	delete(v.listeners, forwardedPort{m.Host, m.Port})
	v.mutex.Unlock()
	if found {
		v.end(number)
	}
	return found
}

// forward hands a connection to a forwarded port to the client.
func (v *server) forward(m *message.Forward, fd int) {
	socket, err := openSocket(fd)
	if err != nil {
		return
	}
	v.mutex.Lock()
	var port forwardedPort
	for listening, number := range v.listeners {
		if number == m.Channel {
			port = listening
		}
	}
	v.mutex.Unlock()
	number, _, err := v.begin()
	if err != nil {
		socket.Close()
		return
	}
	defer v.end(number)
	c, requests, err := v.conn.OpenChannel("forwarded-tcpip", ssh.Marshal(struct {
		Host       string
		Port       uint32
		Originator string
		From       uint32
	}{port.host, port.port, m.Host, m.Port}))
	if err != nil {
		socket.Close()
		return
	}
	go ssh.DiscardRequests(requests)
	join(c, socket)
}
