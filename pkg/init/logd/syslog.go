package logd

import (
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"lkt/init/logs"
)

const (
	// maxDatagram is the size that every receiver should accept (RFC 5426 section 3.2).
	maxDatagram     = 2048
	firstRetryDelay = time.Second
	maxRetryDelay   = 30 * time.Second
	sendTimeout     = 10 * time.Second
)

// syslog sends lines to a server in the format of RFC 5424. They are datagrams (RFC 5426), or
// messages of a connection with octet counting (RFC 6587 section 3.4.1). Lines are queued while the
// server is unreachable.
type syslog struct {
	network, address string
	lines            *queue
	// unsent counts the lines dropped from the queue since the server was last told.
	unsent atomic.Int64
}

// run sends lines forever.
func (s *syslog) run(report func(string)) {
	var connection net.Conn
	isLost := false
	for {
		e := s.lines.take()
		for pause := firstRetryDelay; ; pause = min(2*pause, maxRetryDelay) {
			var err error
			if connection == nil {
				connection, err = s.connect()
			}
			if err == nil {
				err = s.send(connection, e)
			}
			if err == nil {
				if isLost {
					report(fmt.Sprintf("syslog server %s: connected", s.address))
				}
				isLost = false
				break
			}
			if connection != nil {
				connection.Close()
				connection = nil
			}
			if !isLost && pause > firstRetryDelay { // a single failure may be chance
				isLost = true
				report(fmt.Sprintf("syslog server %s: %v", s.address, err))
			}
			time.Sleep(pause)
		}
	}
}

// connect opens a connection and closes it as soon as the server does; otherwise the first message
// after that would be lost.
func (s *syslog) connect() (net.Conn, error) {
	connection, err := net.DialTimeout(s.network, s.address, sendTimeout)
	if err == nil && s.network == "tcp" {
		go func() {
			_, _ = io.Copy(io.Discard, connection)
			connection.Close()
		}()
	}
	return connection, err
}

func (s *syslog) send(connection net.Conn, e logs.Entry) error {
	if unsent := s.unsent.Swap(0); unsent > 0 {
		text := fmt.Sprintf("%d lines were not sent: the queue was full", unsent)
		if err := s.write(connection, logs.Entry{Time: e.Time, Source: "lkt-logs", Text: text}); err != nil {
			s.unsent.Add(unsent)
			return err
		}
	}
	return s.write(connection, e)
}

func (s *syslog) write(connection net.Conn, e logs.Entry) error {
	name, _ := os.Hostname()
	message := format(e, name)
	if s.network == "tcp" {
		message = strconv.Itoa(len(message)) + " " + message
	} else {
		message = message[:min(len(message), maxDatagram)]
	}
	if err := connection.SetWriteDeadline(time.Now().Add(sendTimeout)); err != nil {
		return err
	}
	_, err := connection.Write([]byte(message))
	return err
}

// format returns a message with facility "daemon" and severity "informational", because containers
// do not specify them.
func format(e logs.Entry, hostname string) string {
	const daemonInfo = 3*8 + 6
	return fmt.Sprintf("<%d>1 %s %s %s - - - %s", daemonInfo, e.Time.UTC().Format("2006-01-02T15:04:05.000000Z"),
		headerField(hostname, 255), headerField(e.Source, 48), logs.Printable(e.Text))
}

// headerField returns text as a field of the message header: printable ASCII without spaces, "-" if
// empty.
func headerField(text string, maxLength int) string {
	text = strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' {
			return '_'
		}
		return r
	}, text)
	if text == "" {
		return "-"
	}
	return text[:min(len(text), maxLength)]
}
