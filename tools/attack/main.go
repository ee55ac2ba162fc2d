// Command attack makes the attempts of a hostile program in a container, and prints what stopped
// each:
//
//	attack NAME: EPERM          an error of the kernel
//	attack NAME: OPEN           the attempt succeeded
//
// Afterwards a service keeps running; "attack once" exits. "attack base", "attack admin" and
// "attack machine" make only some attempts. "attack victim" is a service for others to attack.
// "attack bound" binds a directory that others can change. "attack done" exits with 0 once all
// attempts were made. "attack digest" prints a digest of the machine's root; "attack serve-digest"
// is a service that sends it to "attack ask-digest".
package main

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// attempt is an attack. do returns nil if it succeeds.
type attempt struct {
	name string
	do   func() error
}

func main() {
	if len(os.Args) == 3 {
		partsOf[os.Args[1]](os.Args[2])
		return
	}
	if len(os.Args) == 2 {
		if part, found := parts[os.Args[1]]; found {
			part()
			return
		}
	}
	attack(files, kernel, processes, network, base, beyond, shared, uncounted, resources)
	wait()
}

// attack makes attempts.
func attack(all ...[]attempt) {
	for _, attempts := range all {
		for _, a := range attempts {
			fmt.Printf("attack %s: %s\n", a.name, result(a.do()))
			time.Sleep(5 * time.Millisecond)
		}
	}
	fmt.Println("attack end")
	if err := os.WriteFile(doneFile, nil, 0o600); err != nil {
		fmt.Println(err)
	}
}

// doneFile exists once all attempts were made.
const doneFile = "/tmp/done"

// parts are the modes of this program, by their argument.
var parts = map[string]func(){
	"once":         func() { attack(files, kernel, processes, network, base, beyond, shared, uncounted, resources) },
	"base":         func() { attack(base); wait() },
	"admin":        func() { attack(base, beyond); wait() },
	"machine":      func() { attack(machine); wait() },
	"detach":       func() { fmt.Println(result(detach())) },
	"victim":       victim,
	"bound":        bound,
	"eat":          eatMemory,
	"sleep":        func() { time.Sleep(time.Minute) },
	"fill":         fill,
	"digest":       func() { fmt.Println(digest(host)) },
	"serve-digest": serveDigest,
	"ask-digest":   askDigest,
	"done": func() {
		if _, err := os.Stat(doneFile); err != nil {
			os.Exit(1)
		}
	},
}

// partsOf are the modes with an argument.
var partsOf = map[string]func(string){"enter": func(path string) { fmt.Println(result(enter(path))) }, "hold": hold, "take": takeOne}

func wait() {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM)
	<-signals
}

// stopped describes a protection that returns no error number.
type stopped string

func (s stopped) Error() string { return string(s) }

func result(err error) string {
	var number syscall.Errno
	var protection stopped
	switch {
	case err == nil:
		return "OPEN"
	case errors.As(err, &protection):
		return string(protection)
	case errors.As(err, &number):
		return unix.ErrnoName(number)
	}
	return err.Error()
}

// anyOf returns nil if one of the ways succeeds, otherwise the error of the first way whose target
// exists.
func anyOf[T any](ways []T, try func(T) error) error {
	var first, absent error = nil, stopped("nothing to try")
	for _, way := range ways {
		switch err := try(way); {
		case err == nil:
			return nil
		case errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ESRCH):
			absent = err
		case first == nil:
			first = err
		}
	}
	if first == nil {
		first = absent
	}
	return first
}

func write(path, text string) error {
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = file.WriteString(text)
	return err
}

// read returns nil if the file is readable and not empty.
func read(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	data := make([]byte, 64)
	n, err := file.Read(data)
	if n == 0 {
		if err == nil {
			return stopped("empty")
		}
		if errors.Is(err, os.ErrClosed) || err.Error() == "EOF" {
			return stopped("empty")
		}
		return err
	}
	return nil
}
