package logd

import (
	"encoding/json"
	"fmt"
	"net"
	"time"

	"lkt/init/logs"
)

// What a client of memlogd asks for, by its first byte.
const (
	queryDump = iota
	queryFollow
	queryDumpAndFollow
)

const (
	// mostClients are served at a time.
	mostClients = 16
	// clientLines are kept for one that reads slowly, clientPatience is how long it may take no line at all.
	clientLines    = 1000
	clientPatience = 30 * time.Second
)

// serveQueries answers clients of memlogd: a line of JSON for each entry.
func (s *store) serveQueries(listener net.Listener) {
	room := make(chan struct{}, mostClients)
	for {
		client, err := listener.Accept()
		if err != nil {
			return
		}
		select {
		case room <- struct{}{}:
			go func() {
				defer func() { <-room }()
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
	if err := client.SetReadDeadline(time.Now().Add(clientPatience)); err != nil {
		return err
	}
	if _, err := client.Read(mode); err != nil {
		return err
	}
	var lines chan logs.Entry
	if mode[0] == queryFollow || mode[0] == queryDumpAndFollow {
		lines = make(chan logs.Entry, clientLines)
		defer s.forget(lines)
	} else if mode[0] != queryDump {
		return fmt.Errorf("mode %d is not known", mode[0])
	}
	encoder := json.NewEncoder(client)
	send := func(e logs.Entry) error {
		if err := client.SetWriteDeadline(time.Now().Add(clientPatience)); err != nil {
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
	go func() { // it says nothing more, but can go
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
				text := fmt.Sprintf("%d lines left out: they are read too slowly", missed)
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
