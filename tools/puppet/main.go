// Command puppet runs actions from its arguments, one after the other:
//
//	sleep SECONDS | say TEXT | listen SOCKET | touch FILE | touch-not FILE | has FILE |
//	show FILE | fail-until N FILE | mkdir DIR | wait | flood BYTES |
//	ask-memlogd SOCKET SOURCE | send-log SOCKET SOURCE TEXT | link TARGET PATH | put FILE TEXT |
//	hang | signal NUMBER COMMAND | suspend MAPPING | await FILE | await-not FILE |
//	serve ADDRESS TEXT | ask ADDRESS | pipe PATH | count
package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// actions have a fixed number of arguments each.
var actions = map[string]struct {
	arguments int
	do        func(args []string) error
}{
	"sleep": {1, func(args []string) error {
		seconds, err := strconv.ParseFloat(args[0], 64)
		time.Sleep(time.Duration(seconds * float64(time.Second)))
		return err
	}},
	"say": {1, func(args []string) error {
		_, err := fmt.Println(args[0])
		return err
	}},
	"listen": {1, func(args []string) error {
		_, err := net.Listen("unix", args[0])
		return err
	}},
	"touch": {1, func(args []string) error { return os.WriteFile(args[0], nil, 0o600) }},
	// Prints the error.
	"touch-not": {1, func(args []string) error {
		err := os.WriteFile(args[0], nil, 0o600)
		if err == nil {
			return fmt.Errorf("%s is writable", args[0])
		}
		_, err = fmt.Println(err)
		return err
	}},
	"has": {1, func(args []string) error {
		_, err := os.Stat(args[0])
		return err
	}},
	"show": {1, func(args []string) error {
		text, err := os.ReadFile(args[0])
		fmt.Printf("%s: %s\n", args[0], strings.TrimSpace(string(text)))
		return err
	}},
	"link": {2, func(args []string) error { return os.Symlink(args[0], args[1]) }},
	// In a new directory, with its parents.
	"pipe": {1, func(args []string) error {
		if err := os.MkdirAll(filepath.Dir(args[0]), 0o700); err != nil {
			return err
		}
		return syscall.Mkfifo(args[0], 0o600)
	}},
	// Prints the number of the container's processes.
	"count": {0, func([]string) error {
		paths, err := filepath.Glob("/proc/[0-9]*")
		fmt.Printf("processes: %d\n", len(paths))
		return err
	}},
	"put": {2, func(args []string) error { return os.WriteFile(args[0], []byte(args[1]), 0o600) }},
	// Ignores SIGTERM.
	"hang": {0, func([]string) error {
		signal.Ignore(syscall.SIGTERM)
		select {}
	}},
	"await":       {1, func(args []string) error { return await(args[0], true) }},
	"await-not":   {1, func(args []string) error { return await(args[0], false) }},
	"ask":         {1, ask},
	"serve":       {2, serve},
	"signal":      {2, sendSignal},
	"suspend":     {1, suspend},
	"fail-until":  {2, failUntil},
	"mkdir":       {1, func(args []string) error { return os.Mkdir(args[0], 0o700) }},
	"flood":       {1, flood},
	"ask-memlogd": {2, askMemlogd},
	"send-log":    {3, sendLog},
	"wait": {0, func([]string) error {
		signals := make(chan os.Signal, 1)
		signal.Notify(signals, syscall.SIGTERM)
		<-signals
		return nil
	}},
}

// serve sends a text to each client of a TCP address, while the next actions run.
func serve(args []string) error {
	server, err := net.Listen("tcp", args[0])
	if err != nil {
		return err
	}
	go func() {
		for {
			client, err := server.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(client, args[1])
			client.Close()
		}
	}()
	return nil
}

// ask prints what a TCP server sends.
func ask(args []string) error {
	server, err := net.DialTimeout("tcp", args[0], 30*time.Second)
	if err != nil {
		return err
	}
	defer server.Close()
	text, err := io.ReadAll(io.LimitReader(server, 4096))
	fmt.Printf("%s says: %s\n", args[0], text)
	return err
}

// failUntil fails until it has been called n times. It counts the calls by the size of a file.
func failUntil(args []string) error {
	limit, err := strconv.ParseInt(args[0], 10, 64)
	if err != nil {
		return err
	}
	file, err := os.OpenFile(args[1], os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	if _, err := file.WriteString("x"); err != nil {
		return err
	}
	info, err := file.Stat()
	if err == nil && info.Size() < limit {
		err = fmt.Errorf("run %d of %d", info.Size(), limit)
	}
	return err
}

func main() {
	for args := os.Args[1:]; len(args) > 0; {
		action, found := actions[args[0]]
		if !found || len(args) <= action.arguments {
			fmt.Fprintf(os.Stderr, "unknown action, or missing arguments: %q\n", args)
			os.Exit(2)
		}
		if err := action.do(args[1 : 1+action.arguments]); err != nil {
			fmt.Printf("%s: %v\n", args[0], err)
			os.Exit(1)
		}
		args = args[1+action.arguments:]
	}
}
