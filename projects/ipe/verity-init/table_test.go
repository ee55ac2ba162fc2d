package main

import (
	"strings"
	"testing"

	"lkt/storage/mapper"
)

const fixed = "verity 1 /dev/vda /dev/vda 4096 4096 100 101 sha256 abcd -"

func TestSignedTargetAddsTheKey(t *testing.T) {
	for options, want := range map[string]string{
		"":                       " 2 root_hash_sig_key_desc k",
		" 0":                     " 2 root_hash_sig_key_desc k",
		" 1 panic_on_corruption": " 3 panic_on_corruption root_hash_sig_key_desc k",
	} {
		device, target, err := signedTarget(`quiet dm-mod.create="root,,,ro,0 800 `+fixed+options+`" root=/dev/dm-0`, "k")
		expected := mapper.Target{
			Kind: "verity", Sectors: 800, Parameters: strings.TrimPrefix(fixed, "verity ") + want, ReadOnly: true,
		}
		if err != nil || device != "/dev/vda" || target != expected {
			t.Errorf("%q: %q %+v %v", options, device, target, err)
		}
	}
}

func TestSignedTargetRejectsOtherDevices(t *testing.T) {
	for _, value := range []string{
		"root,,,ro,0 800 linear /dev/vda 0",
		"root,,,rw,0 800 " + fixed,
		"root,,,ro,8 800 " + fixed,
		"root,,,ro,0 800 verity 1 /dev/vda",
		"root,,,ro,0 99999999999999999999 " + fixed,
		"root,,,ro,0 800 " + fixed + " 2 panic_on_corruption",
		"root,,,ro,0 800 " + fixed + " x",
		"root,,,ro,0 800 " + fixed + ", 800 8 linear /dev/vda 0",
	} {
		if _, target, err := signedTarget(`dm-mod.create="`+value+`"`, "k"); err == nil {
			t.Errorf("%q: %+v", value, target)
		}
	}
}
