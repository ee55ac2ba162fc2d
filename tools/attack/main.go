// Command attack tries what a hostile program in a container would, and says for each attempt what stopped it:
//
//	attack NAME: EPERM          the kernel said so
//	attack NAME: OPEN           it worked
//
// A service stays when it has tried everything; "attack once" ends.
// "attack victim" is a service that others try to reach, "attack bound" one that binds what others may change. "attack done" says
// whether everything has been tried, "attack digest" what the files of the machine's root are, "attack serve-digest" is a
// service that says it to "attack ask-digest".
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

// attempt returns nil when it worked.
type attempt struct {
	name string
	do   func() error
}

func main() {
	if len(os.Args) == 2 {
		if part, found := parts[os.Args[1]]; found {
			part()
			return
		}
	}
	attack()
	wait()
}

// attack tries everything.
func attack() {
	all := [][]attempt{files, kernel, processes, network, resources}
	for _, some := range all {
		for _, a := range some {
			fmt.Printf("attack %s: %s\n", a.name, result(a.do()))
			time.Sleep(5 * time.Millisecond)
		}
	}
	fmt.Println("attack end")
	if err := os.WriteFile(doneFile, nil, 0o600); err != nil {
		fmt.Println(err)
	}
}

// doneFile is there when everything has been tried.
const doneFile = "/tmp/done"

// parts are what this program is when it is called with their name: by the image config, or by itself.
var parts = map[string]func(){
	"once":         attack,
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

func wait() {
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGTERM)
	<-asked
}

// stopped is what a mechanism did that gives no error number.
type stopped string

func (s stopped) Error() string { return string(s) }

func result(err error) string {
	var number syscall.Errno
	var said stopped
	switch {
	case err == nil:
		return "OPEN"
	case errors.As(err, &said):
		return string(said)
	case errors.As(err, &number):
		return unix.ErrnoName(number)
	}
	return err.Error()
}

// anyOf is nil when one of several ways worked, and else what stopped the first of them that has something there.
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

// read is nil when a file can be read and has something that is not zero.
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
