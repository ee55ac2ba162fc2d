package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// maxFileSize limits how much is read of a file.
const maxFileSize = 4 << 20

// machine describes the machine to observe.
type machine struct {
	proc, root, sys string
	excluded        *regexp.Regexp
	// cgroups means that the accounts of cgroups are exported.
	cgroups bool
}

// collectors are the collectors in output order.
var collectors = []struct {
	name    string
	collect func(machine, *output) error
}{
	{"cpu", cpus}, {"diskstats", disks}, {"filefd", files}, {"filesystem", filesystems}, {"loadavg", load}, {"meminfo", memory},
	{"netdev", network}, {"stat", statistics}, {"time", clock}, {"uname", names}, {"vmstat", pages}, {"cgroup", containers},
}

// metrics returns all metrics in Prometheus' text format. A failing collector is reported, and does
// not stop the others.
func (m machine) metrics() string {
	var out output
	durations := make([]float64, len(collectors))
	success := make([]float64, len(collectors))
	for i, c := range collectors {
		begin := time.Now()
		if err := c.collect(m, &out); err != nil {
			fmt.Fprintf(os.Stderr, "node_exporter: %s: %v\n", c.name, err)
		} else {
			success[i] = 1
		}
		durations[i] = time.Since(begin).Seconds()
	}
	for i, c := range collectors {
		out.gauge("node_scrape_collector_duration_seconds", durations[i], "collector", c.name)
	}
	for i, c := range collectors {
		out.gauge("node_scrape_collector_success", success[i], "collector", c.name)
	}
	return out.text()
}

// output collects metrics, grouped by name in the order of their first occurrence.
type output struct {
	order  []string
	blocks map[string]*strings.Builder
}

func (o *output) counter(name string, value float64, labels ...string) {
	o.add("counter", name, value, labels)
}

func (o *output) gauge(name string, value float64, labels ...string) {
	o.add("gauge", name, value, labels)
}

func (o *output) untyped(name string, value float64, labels ...string) {
	o.add("untyped", name, value, labels)
}

// add adds a metric. labels alternate names and values.
func (o *output) add(kind, name string, value float64, labels []string) {
	block, known := o.blocks[name]
	if !known {
		if o.blocks == nil {
			o.blocks = map[string]*strings.Builder{}
		}
		block = &strings.Builder{}
		o.blocks[name] = block
		o.order = append(o.order, name)
		fmt.Fprintf(block, "# TYPE %s %s\n", name, kind)
	}
	block.WriteString(name)
	for i := 0; i+1 < len(labels); i += 2 {
		separator := ","
		if i == 0 {
			separator = "{"
		}
		fmt.Fprintf(block, `%s%s="%s"`, separator, labels[i], escaped.Replace(strings.ToValidUTF8(labels[i+1], "�")))
	}
	if len(labels) > 0 {
		block.WriteByte('}')
	}
	block.WriteByte(' ')
	block.WriteString(strconv.FormatFloat(value, 'g', -1, 64))
	block.WriteByte('\n')
}

var escaped = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

func (o *output) text() string {
	var all strings.Builder
	for _, name := range o.order {
		all.WriteString(o.blocks[name].String())
	}
	return all.String()
}

// read returns a file of procfs.
func (m machine) read(name string) (string, error) {
	return readFile(filepath.Join(m.proc, name))
}

func readFile(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxFileSize))
	return string(text), err
}

// numbers parses words as numbers; invalid ones are 0.
func numbers(words []string) []float64 {
	all := make([]float64, len(words))
	for i, word := range words {
		n, err := strconv.ParseUint(word, 10, 64)
		if err == nil {
			all[i] = float64(n)
		}
	}
	return all
}
