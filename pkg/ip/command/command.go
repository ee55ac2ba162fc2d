// Package command is what of iproute2's ip(8) an image needs: addresses, links, routes, and files of such commands.
package command

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"

	"lkt/ip/netlink"
)

const usage = "ip [-4|-6] {link|address|route} {add|replace|del|set|show|flush} …, or ip [-force] -batch FILE"

// most is how long a file of commands may be.
const most = 1 << 20

// Tool does commands, one after the other.
type Tool struct {
	kernel *netlink.Conn
	out    io.Writer
	family uint8
}

// New has a socket of the namespace that the program is in.
func New(out io.Writer) (*Tool, error) {
	kernel, err := netlink.Dial(syscall.NETLINK_ROUTE)
	return &Tool{kernel: kernel, out: out}, err
}

// Run does what the arguments of ip(8) say.
func (t *Tool) Run(args []string) error {
	force := false
	for len(args) > 0 && strings.HasPrefix(args[0], "-") {
		option := strings.TrimLeft(args[0], "-")
		args = args[1:]
		switch option {
		case "4":
			t.family = syscall.AF_INET
		case "6":
			t.family = syscall.AF_INET6
		case "force":
			force = true
		case "b", "batch":
			if len(args) != 1 {
				return errors.New("-batch needs one file")
			}
			return t.batch(args[0], force)
		default:
			return fmt.Errorf("the option %q is not known here\n  fix: %s", "-"+option, usage)
		}
	}
	return t.one(args)
}

func (t *Tool) one(args []string) error {
	w := &words{args}
	word, _ := w.next()
	object, found := choose(word, "address", "link", "route")
	if word == "addr" {
		object, found = "address", true
	}
	if !found {
		return fmt.Errorf("%q is not known here\n  fix: %s", word, usage)
	}
	word, there := w.next()
	if !there {
		word = "show"
	}
	do, found := t.action(object, word)
	if !found {
		return fmt.Errorf("%s %q is not known here\n  fix: %s", object, word, usage)
	}
	if err := do(w); err != nil {
		return fmt.Errorf("%s: %w", strings.Join(args, " "), err)
	}
	return nil
}

func (t *Tool) action(object, word string) (func(*words) error, bool) {
	if word == "ls" || word == "lst" {
		word = "show"
	}
	type actions = map[string]func(*words) error
	all := map[string]actions{
		"link": {"add": t.addLink, "set": t.setLink, "delete": t.deleteLink, "show": t.showLinks, "list": t.showLinks},
		"address": {
			"add":     t.changeAddress(syscall.RTM_NEWADDR, netlink.Create|netlink.Excl),
			"change":  t.changeAddress(syscall.RTM_NEWADDR, netlink.Replace),
			"replace": t.changeAddress(syscall.RTM_NEWADDR, netlink.Create|netlink.Replace),
			"delete":  t.changeAddress(syscall.RTM_DELADDR, 0),
			"flush":   t.flushAddresses,
			"show":    t.showAddresses, "list": t.showAddresses,
		},
		"route": {
			"add":     t.changeRoute(syscall.RTM_NEWROUTE, netlink.Create|netlink.Excl),
			"append":  t.changeRoute(syscall.RTM_NEWROUTE, netlink.Create|netlink.Append),
			"change":  t.changeRoute(syscall.RTM_NEWROUTE, netlink.Replace),
			"replace": t.changeRoute(syscall.RTM_NEWROUTE, netlink.Create|netlink.Replace),
			"delete":  t.changeRoute(syscall.RTM_DELROUTE, 0),
			"show":    t.showRoutes, "list": t.showRoutes,
		},
	}[object]
	name, _ := choose(word, "add", "change", "replace", "delete", "append", "set", "show", "list", "flush")
	do, found := all[name]
	return do, found
}

// batch does the commands of a file, one a line. A line ends with a backslash where the next one goes on. Without force, the
// first that fails is the last.
func (t *Tool) batch(path string, force bool) error {
	file := os.Stdin
	if path != "-" {
		opened, err := os.Open(path)
		if err != nil {
			return err
		}
		defer opened.Close()
		file = opened
	}
	lines := bufio.NewScanner(io.LimitReader(file, most))
	lines.Buffer(nil, most)
	var failures []error
	number, kept := 0, ""
	for lines.Scan() {
		number++
		text := kept + lines.Text()
		if before, more := strings.CutSuffix(text, `\`); more {
			kept = before + " "
			continue
		}
		kept = ""
		args, err := split(text)
		if err == nil && len(args) > 0 {
			err = t.one(args)
		}
		if err != nil {
			err = fmt.Errorf("%s:%d: %w", path, number, err)
			if !force {
				return err
			}
			failures = append(failures, err)
		}
	}
	return errors.Join(append(failures, lines.Err())...)
}

// split gives the words of a line: between blanks, or in quotes; what follows a "#" is a comment.
func split(line string) ([]string, error) {
	var all []string
	for rest := line; ; {
		rest = strings.TrimLeft(rest, " \t\r\n")
		if rest == "" || rest[0] == '#' {
			return all, nil
		}
		if rest[0] == '"' || rest[0] == '\'' {
			word, after, closed := strings.Cut(rest[1:], rest[:1])
			if !closed {
				return nil, fmt.Errorf("a quote without its end")
			}
			all, rest = append(all, word), after
			continue
		}
		end := strings.IndexAny(rest, " \t\r\n#")
		if end < 0 {
			end = len(rest)
		}
		all, rest = append(all, rest[:end]), rest[end:]
	}
}
