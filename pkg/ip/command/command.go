// Package command implements a subset of iproute2's ip(8): addresses, links, routes, rules, and
// batch files.
package command

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"

	"lkt/netlink"
)

const usage = "ip [-4|-6] {link|address|route|rule} {add|replace|del|set|show|flush} …, or ip [-force] -batch FILE"

// maxBatchSize limits the size of a batch file.
const maxBatchSize = 1 << 20

// Tool runs ip commands.
type Tool struct {
	kernel *netlink.Conn
	out    io.Writer
	family uint8
}

// New returns a tool for the current network namespace.
func New(out io.Writer) (*Tool, error) {
	kernel, err := netlink.Dial(syscall.NETLINK_ROUTE)
	return &Tool{kernel: kernel, out: out}, err
}

// Run runs the command with the arguments of ip(8).
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
			return fmt.Errorf("unknown option %q\n  fix: %s", "-"+option, usage)
		}
	}
	return t.run(args)
}

func (t *Tool) run(args []string) error {
	w := &words{args}
	word, _ := w.next()
	object, found := match(word, "address", "link", "route", "rule")
	if word == "addr" {
		object, found = "address", true
	}
	if !found {
		return fmt.Errorf("unknown object %q\n  fix: %s", word, usage)
	}
	word, ok := w.next()
	if !ok {
		word = "show"
	}
	do, found := t.action(object, word)
	if !found {
		return fmt.Errorf("unknown %s command %q\n  fix: %s", object, word, usage)
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
		"rule": {
			"add":    t.changeRule(rtmNewRule, netlink.Create|netlink.Excl),
			"delete": t.changeRule(rtmDelRule, 0),
		},
	}[object]
	name, _ := match(word, "add", "change", "replace", "delete", "append", "set", "show", "list", "flush")
	do, found := all[name]
	return do, found
}

// batch runs the commands of a file, one per line. A backslash at the end continues a line. Without
// force, it stops at the first failure.
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
	lines := bufio.NewScanner(io.LimitReader(file, maxBatchSize))
	lines.Buffer(nil, maxBatchSize)
	var failures []error
	number, pending := 0, ""
	for lines.Scan() {
		number++
		text := pending + lines.Text()
		if before, more := strings.CutSuffix(text, `\`); more {
			pending = before + " "
			continue
		}
		pending = ""
		args, err := split(text)
		if err == nil && len(args) > 0 {
			err = t.run(args)
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

// split splits a line into words, separated by white space or quoted. A "#" begins a comment.
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
				return nil, fmt.Errorf("missing closing quote")
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
