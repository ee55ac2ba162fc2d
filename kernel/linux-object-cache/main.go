// Command object-cache runs a compiler and keeps the objects of Linux, so that a changed option
// compiles and preprocesses only the files that depend on it.
//
//	object-cache COMPILER ARGUMENT...
//	object-cache clean BYTES
//
// Every option is in a header that all files include, so ccache preprocesses all files when one
// option changes. Like Linux's own fixdep, object-cache compares only the options that a file and
// its headers name. An object is reused if these are the same as when it was compiled:
//
//   - the command, its directory, the compiler's plugins, and $OBJECT_CACHE_KEY, which stands for
//     the tools, the source tree and the names of generated headers
//   - the content of every file outside the source tree that it includes
//   - the value of every option named in a file that it includes
//
// "clean" removes the least recently used objects, until those that remain take BYTES.
//
// Environment:
//
//	OBJECT_CACHE_DIR     where objects are kept
//	OBJECT_CACHE_KEY     without it, the compiler runs without a cache
//	OBJECT_CACHE_SOURCE  the source tree
//	OBJECT_CACHE_LOG     a file that gets a line for each reused object
package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"syscall"
)

func main() {
	if len(os.Args) < 2 {
		fail(errors.New("a compiler is missing"))
	}
	store := store{dir: os.Getenv("OBJECT_CACHE_DIR")}
	if os.Args[1] == "clean" && len(os.Args) == 3 {
		limit, err := strconv.ParseInt(os.Args[2], 10, 64)
		if err == nil {
			err = store.clean(limit)
		}
		if err != nil {
			fail(err)
		}
		return
	}
	key, source := os.Getenv("OBJECT_CACHE_KEY"), os.Getenv("OBJECT_CACHE_SOURCE")
	c, ok := parse(os.Args[1:])
	if key == "" || store.dir == "" || source == "" || !ok {
		fail(replace(os.Args[1:]))
	}
	status, err := c.compile(store, key, source)
	if err != nil {
		fail(err)
	}
	os.Exit(status)
}

func fail(err error) {
	fmt.Fprintf(os.Stderr, "object-cache: error: %v\n", err)
	os.Exit(1)
}

// replace executes a command in place of this program. It returns only if that fails.
func replace(args []string) error {
	path, err := exec.LookPath(args[0])
	if err != nil {
		return err
	}
	return fmt.Errorf("%s: %w", path, syscall.Exec(path, args, os.Environ()))
}

// compile writes the object and its list of dependencies, from the store or by the compiler, and
// returns the exit status. A store that cannot be read or written costs only time.
func (c *compilation) compile(s store, key, source string) (int, error) {
	id, err := c.id(key)
	if err != nil {
		return 0, err
	}
	if result, ok := s.find(id); ok {
		if err := c.write(result); err != nil {
			return 0, err
		}
		return 0, count()
	}
	// A list that an earlier compiler left must not be taken for this one's.
	if err := os.Remove(c.list); err != nil && !errors.Is(err, os.ErrNotExist) {
		return 0, err
	}
	command := exec.Command(c.args[0], c.args[1:]...)
	var said bytes.Buffer
	command.Stdin, command.Stdout = os.Stdin, os.Stdout
	command.Stderr = io.MultiWriter(os.Stderr, &said)
	err = command.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		if exit.ExitCode() < 0 {
			return 1, nil
		}
		return exit.ExitCode(), nil
	}
	if err != nil {
		return 0, err
	}
	// A warning has to appear every time.
	if said.Len() == 0 {
		if inputs, result, ok := c.read(source); ok {
			s.add(id, inputs, result)
		}
	}
	return 0, nil
}

// count adds a line to the log.
func count() error {
	path := os.Getenv("OBJECT_CACHE_LOG")
	if path == "" {
		return nil
	}
	log, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = log.WriteString("object_cache_hit\n")
	return errors.Join(err, log.Close())
}
