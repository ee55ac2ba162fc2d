package logd

import (
	"encoding/json"
	"fmt"
	"net"
	"time"

	"lkt/init/logs"
)

// Requests of memlogd's clients, by their first byte.
const (
	queryDump = iota
	queryFollow
	queryDumpAndFollow
)

const (
	// maxClients are served at a time.
	maxClients = 16
	// clientLines are buffered for a slow client. A client that reads no line for clientTimeout is
	// disconnected.
	clientLines   = 1000
	clientTimeout = 30 * time.Second
)

// serveQueries serves memlogd's clients: one line of JSON for each entry.
func (s *store) serveQueries(listener net.Listener) {
	semaphore := make(chan struct{}, maxClients)
	for {
		client, err := listener.Accept()
		if err != nil {
			return
		}
		select {
		case semaphore <- struct{}{}:
			go func() {
				defer func() { <-semaphore }()
				defer client.Close()
				_ = s.answer(client)
			}()
		default:
			client.Close()
		}
	}
}

func (s *store) answer(client net.Conn) error {
	mode := make([]byte, 1)
	if err := client.SetReadDeadline(time.Now().Add(clientTimeout)); err != nil {
		return err
	}
	if _, err := client.Read(mode); err != nil {
		return err
	}
	var lines chan logs.Entry
	if mode[0] == queryFollow || mode[0] == queryDumpAndFollow {
		lines = make(chan logs.Entry, clientLines)
		defer s.removeReader(lines)
	} else if mode[0] != queryDump {
		return fmt.Errorf("unknown mode %d", mode[0])
	}
	encoder := json.NewEncoder(client)
	send := func(e logs.Entry) error {
		if err := client.SetWriteDeadline(time.Now().Add(clientTimeout)); err != nil {
			return err
		}
		return encoder.Encode(e)
	}
	cursors := s.read(mode[0] != queryFollow, lines)
	err := logs.Merge(cursors, send)
	for _, c := range cursors {
		c.Close()
	}
	if err != nil || lines == nil {
		return err
	}
	gone := make(chan struct{})
	go func() { // the client sends nothing more, but may disconnect
		defer close(gone)
		_ = client.SetReadDeadline(time.Time{})
		for {
			if _, err := client.Read(mode); err != nil {
				return
			}
		}
	}()
	for {
		select {
		case e := <-lines:
			if missed := s.missed(lines); missed > 0 {
				text := fmt.Sprintf("%d lines skipped: the client reads too slowly", missed)
				if err := send(logs.Entry{Time: time.Now(), Source: "lkt-logs", Text: text}); err != nil {
					return err
				}
			}
			if err := send(e); err != nil {
				return err
			}
		case <-gone:
			return nil
		}
	}
}
