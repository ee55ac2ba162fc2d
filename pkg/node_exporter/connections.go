package main

import (
	"net"
	"net/netip"
	"sync"
	"time"

	"lkt/bounds"
)

// maxConnections are far fewer than the descriptors of this process, which also opens files.
var maxConnections = bounds.Limits{Total: 64, PerAddress: 32}

// boundedListener is a listener whose open connections are bounded: a new one ends an old one, so
// that idle clients and those that do not read lock out no other.
type boundedListener struct {
	net.Listener

	mutex sync.Mutex
	table *bounds.Table
	open  map[uint32]net.Conn
	last  uint32
}

func newBoundedListener(l net.Listener, limits bounds.Limits) *boundedListener {
	return &boundedListener{Listener: l, table: bounds.New(limits), open: map[uint32]net.Conn{}}
}

func (l *boundedListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	var address netip.Addr
	if tcp, ok := conn.RemoteAddr().(*net.TCPAddr); ok {
		address = tcp.AddrPort().Addr()
	}
	l.mutex.Lock()
	defer l.mutex.Unlock()
	for _, id := range l.table.Add(l.last, address, time.Time{}) {
		l.open[id].Close()
		delete(l.open, id)
	}
	b := boundedConn{conn, l, l.last}
	l.open[l.last] = conn
	l.last++
	return b, nil
}

type boundedConn struct {
	net.Conn
	listener *boundedListener
	id       uint32
}

func (c boundedConn) Close() error {
	c.listener.mutex.Lock()
	c.listener.table.Remove(c.id)
	delete(c.listener.open, c.id)
	c.listener.mutex.Unlock()
	return c.Conn.Close()
}
