package main

import (
	"regexp"
	"strings"
)

// ignoredDevices are partitions and virtual devices, which Prometheus' node_exporter ignores too.
var ignoredDevices = regexp.MustCompile(`^(z?ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\d+n\d+p)\d+$`)

const sector = 512

// diskFields are the fields of diskstats after the name, in order, with the factor to seconds or
// bytes.
var diskFields = []struct {
	name  string
	unit  float64
	gauge bool
}{
	{"reads_completed_total", 1, false}, {"reads_merged_total", 1, false}, {"read_bytes_total", sector, false},
	{"read_time_seconds_total", 1e-3, false}, {"writes_completed_total", 1, false}, {"writes_merged_total", 1, false},
	{"written_bytes_total", sector, false}, {"write_time_seconds_total", 1e-3, false}, {"io_now", 1, true},
	{"io_time_seconds_total", 1e-3, false}, {"io_time_weighted_seconds_total", 1e-3, false},
	{"discards_completed_total", 1, false}, {"discards_merged_total", 1, false}, {"discarded_sectors_total", 1, false},
	{"discard_time_seconds_total", 1e-3, false}, {"flush_requests_total", 1, false},
	{"flush_requests_time_seconds_total", 1e-3, false},
}

func disks(m machine, out *output) error {
	text, err := m.read("diskstats")
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) < 4 || ignoredDevices.MatchString(words[2]) {
			continue
		}
		for i, value := range numbers(words[3:]) {
			if i >= len(diskFields) {
				break
			}
			field := diskFields[i]
			add := out.counter
			if field.gauge {
				add = out.gauge
			}
			add("node_disk_"+field.name, value*field.unit, "device", words[2])
		}
	}
	return err
}

var netFields = []string{
	"receive_bytes", "receive_packets", "receive_errs", "receive_drop", "receive_fifo", "receive_frame", "receive_compressed",
	"receive_multicast", "transmit_bytes", "transmit_packets", "transmit_errs", "transmit_drop", "transmit_fifo", "transmit_colls",
	"transmit_carrier", "transmit_compressed",
}

func network(m machine, out *output) error {
	text, err := m.read("net/dev")
	for line := range strings.Lines(text) {
		name, rest, found := strings.Cut(line, ":")
		words := strings.Fields(rest)
		if !found || len(words) != len(netFields) {
			continue
		}
		for i, value := range numbers(words) {
			out.counter("node_network_"+netFields[i]+"_total", value, "device", strings.TrimSpace(name))
		}
	}
	return err
}
