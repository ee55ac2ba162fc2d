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
	// longestDatagram is what each receiver should take (RFC 5426, section 3.2).
	longestDatagram = 2048
	firstRetry      = time.Second
	longestRetry    = 30 * time.Second
	sendPatience    = 10 * time.Second
)

// syslog sends lines to a server, by RFC 5424: each as a datagram (RFC 5426), or on a connection with its length before it
// (RFC 6587, section 3.4.1). As long as the server cannot be reached, lines wait.
type syslog struct {
	network, address string
	lines            *queue
	// unsent is how many lines there was no room for, since the server was last told.
	unsent atomic.Int64
	// busy while a line has been taken and not been sent.
	busy atomic.Bool
}

// run sends for ever.
func (s *syslog) run(report func(string)) {
	var connection net.Conn
	isLost := false
	for {
		e := s.lines.take()
		s.busy.Store(true)
		for pause := firstRetry; ; pause = min(2*pause, longestRetry) {
			var err error
			if connection == nil {
				connection, err = s.connect()
			}
			if err == nil {
				err = s.send(connection, e)
			}
			if err == nil {
				if isLost {
					report(fmt.Sprintf("syslog server %s is reached", s.address))
				}
				isLost = false
				break
			}
			if connection != nil {
				connection.Close()
				connection = nil
			}
			if !isLost && pause > firstRetry { // once may be chance
				isLost = true
				report(fmt.Sprintf("syslog server %s: %v", s.address, err))
			}
			time.Sleep(pause)
		}
		s.busy.Store(false)
	}
}

// connect makes a connection that ends when the server ends it: the first message after that would be lost else.
func (s *syslog) connect() (net.Conn, error) {
	connection, err := net.DialTimeout(s.network, s.address, sendPatience)
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
		text := fmt.Sprintf("%d lines were not sent: there was no room for them", unsent)
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
		message = message[:min(len(message), longestDatagram)]
	}
	if err := connection.SetWriteDeadline(time.Now().Add(sendPatience)); err != nil {
		return err
	}
	_, err := connection.Write([]byte(message))
	return err
}

// format makes a message of facility "daemon" and severity "informational": what a container writes does not say which it is.
func format(e logs.Entry, hostname string) string {
	const daemonInfo = 3*8 + 6
	return fmt.Sprintf("<%d>1 %s %s %s - - - %s", daemonInfo, e.Time.UTC().Format("2006-01-02T15:04:05.000000Z"),
		word(hostname, 255), word(e.Source, 48), logs.Printable(e.Text))
}

// word is what stands between blanks in the header of a message: printable ASCII, "-" for nothing.
func word(text string, most int) string {
	text = strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' {
			return '_'
		}
		return r
	}, text)
	if text == "" {
		return "-"
	}
	return text[:min(len(text), most)]
}
