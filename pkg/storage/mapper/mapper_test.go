package mapper

import (
	"bytes"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

func TestCheckName(t *testing.T) {
	for _, name := range []string{"swapfile", "crypt_dev", "a.b-c"} {
		if err := CheckName(name); err != nil {
			t.Error(err)
		}
	}
	for _, name := range []string{"", ".", "..", "control", "a/b", "../x", "a b", "a\n", "\xff", strings.Repeat("x", 128)} {
		if err := CheckName(name); err == nil {
			t.Errorf("accepted %q", name)
		}
	}
}

// Compared with the structures of x/sys, which come from the kernel's header.
func TestRequestMatchesKernelStructs(t *testing.T) {
	b := request("name", "uuid", &Target{Kind: "crypt", Sectors: 77, Parameters: "parameters"})
	header := (*unix.DmIoctl)(unsafe.Pointer(&b[0]))
	if header.Version != [3]uint32{4, 0, 0} || int(header.Data_size) != len(b) || int(header.Data_start) != headerSize ||
		header.Target_count != 1 || header.Flags != unix.DM_SECURE_DATA_FLAG ||
		string(header.Name[:5]) != "name\x00" || string(header.Uuid[:5]) != "uuid\x00" {
		t.Errorf("%+v", header)
	}
	spec := (*unix.DmTargetSpec)(unsafe.Pointer(&b[headerSize]))
	if spec.Length != 77 || spec.Sector_start != 0 || string(spec.Target_type[:6]) != "crypt\x00" ||
		int(spec.Next) != len(b)-headerSize || spec.Next%8 != 0 {
		t.Errorf("%+v", spec)
	}
	if !bytes.HasPrefix(b[headerSize+targetSize:], []byte("parameters\x00")) {
		t.Error("no parameters")
	}
	if got := minor(0x1_fe_34 | 0x25<<20); got != 0x2534 {
		t.Errorf("%#x", got)
	}
}

func TestCryptTarget(t *testing.T) {
	key := []byte("\x01\xab")
	for _, test := range []struct {
		crypt   Crypt
		sectors uint64
		want    Target
	}{
		{Crypt{Cipher: "c", Key: key}, 9, Target{"crypt", 9, "c 01ab 0 1:2 0", false}},
		{Crypt{Cipher: "c", Key: key, Offset: 8, Tweak: 3}, 17, Target{"crypt", 9, "c 01ab 3 1:2 8", false}},
		{Crypt{Cipher: "c", Key: key, Offset: 1, SectorSize: 4096}, 18, Target{"crypt", 16, "c 01ab 0 1:2 1 1 sector_size:4096", false}},
		{Crypt{Cipher: "c", Key: key, Length: 8}, 18, Target{"crypt", 8, "c 01ab 0 1:2 0", false}},
	} {
		if got, err := test.crypt.target(test.sectors, "1:2"); err != nil || got != test.want {
			t.Errorf("%+v: %+v, %v", test.crypt, got, err)
		}
	}
	for _, crypt := range []Crypt{{Offset: 8}, {Offset: 9}, {Offset: 1<<64 - 1}, {Length: 9}, {Offset: 1, Length: 1<<64 - 1}, {Offset: 1, SectorSize: 4096}} {
		if got, err := crypt.target(8, "1:2"); err == nil {
			t.Errorf("%+v: %+v", crypt, got)
		}
	}
}

func TestRequestMakesTheTableReadOnly(t *testing.T) {
	b := request("name", "", &Target{Kind: "verity", ReadOnly: true})
	if header := (*unix.DmIoctl)(unsafe.Pointer(&b[0])); header.Flags != unix.DM_SECURE_DATA_FLAG|unix.DM_READONLY_FLAG {
		t.Errorf("%+v", header)
	}
}
