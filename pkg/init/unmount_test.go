package main

import (
	"reflect"
	"strings"
	"testing"
)

func TestSwapAreas(t *testing.T) {
	const text = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n" +
		"/dm-0                                   partition\t7164\t\t0\t\t-3\n" +
		"/a\\040swap                              file\t\t8184\t\t0\t\t-2\n"
	if got, want := swapAreas(text), []string{"/dm-0", "/a swap"}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := swapAreas("Filename\tType\n"); len(got) != 0 {
		t.Errorf("without an area: %q", got)
	}
}

// The kernel escapes only what its own format needs: not a form feed, nor a no-break space.
func TestMountsAndSwapAreasWithOtherWhiteSpace(t *testing.T) {
	const path = "/var/a\fb\r\v\u00a0\u0085c"
	text := "proc /proc proc rw 0 0\n/dev/vda " + path + " ext4 rw 0 0\n/dev/vdb /var/\\040\\134\\012 ext4 rw 0 0\n"
	if got, want := parseMounts(text), []mountPoint{{"/dev/vda", path}, {"/dev/vdb", "/var/ \\\n"}}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := swapAreas("Filename\n" + path + " file\t1\t0\t-2\n"); !reflect.DeepEqual(got, []string{path}) {
		t.Errorf("got %q", got)
	}
}

// FuzzMounts reads back the mounts whose paths a container has chosen.
func FuzzMounts(f *testing.F) {
	f.Add("/var/a b", "/var/c\n\\d")
	escape := strings.NewReplacer(" ", `\040`, "\t", `\011`, "\n", `\012`, `\`, `\134`)
	f.Fuzz(func(t *testing.T, one, two string) {
		var text string
		var want []mountPoint
		for _, path := range []string{one, two} {
			if path == "" || strings.Contains(path, "\x00") {
				t.Skip() // no path
			}
			text += "/dev/vda " + escape.Replace(path) + " ext4 rw,relatime 0 0\n"
			if !staysMounted(path) {
				want = append(want, mountPoint{"/dev/vda", path})
			}
		}
		if got := parseMounts(text); !reflect.DeepEqual(got, want) {
			t.Fatalf("got %q, want %q", got, want)
		}
		_ = swapAreas(text)
	})
}

// FuzzEvent reads an event of a device, some of whose texts come from the device.
func FuzzEvent(f *testing.F) {
	f.Add([]byte("add@/devices/x\x00ACTION=add\x00MODALIAS=usb:v1D6B\x00"))
	f.Fuzz(func(t *testing.T, event []byte) {
		if modalias := addedDevice(event); strings.Contains(modalias, "\x00") || len(modalias) > len(event) {
			t.Fatalf("%q", modalias)
		}
	})
}
