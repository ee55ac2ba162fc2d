package luks

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

var validOpened = Opened{UUID: "01-ab", Offset: 16 << 20, Encryption: xtsName, SectorSize: 512, Key: make([]byte, 64)}

func TestDecodeResultReturnsWhatWasEncoded(t *testing.T) {
	message, err := EncodeResult(validOpened, nil)
	if err != nil {
		t.Fatal(err)
	}
	if o, err := DecodeResult(message); err != nil || !reflect.DeepEqual(o, validOpened) {
		t.Errorf("%+v, %v", o, err)
	}
	for _, want := range []error{ErrNotLUKS, errors.Join(ErrKey, errors.New("keyslot 1: \x1bx")), errors.New(strings.Repeat("x", 9000))} {
		message, err := EncodeResult(Opened{}, want)
		if err != nil || len(message) > 4096 {
			t.Fatal(len(message), err)
		}
		_, got := DecodeResult(message)
		if got == nil || errors.Is(got, ErrKey) != errors.Is(want, ErrKey) || errors.Is(got, ErrNotLUKS) != errors.Is(want, ErrNotLUKS) ||
			strings.Contains(got.Error(), "\x1b") {
			t.Errorf("%v: %v", want, got)
		}
	}
}

func TestDecodeResultRejectsImpossibleVolumes(t *testing.T) {
	for name, change := range map[string]func(*Opened){
		"UUID":       func(o *Opened) { o.UUID = "../x" },
		"cipher":     func(o *Opened) { o.Encryption = "null 00 0 8:0 0" },
		"sector":     func(o *Opened) { o.SectorSize = 0 },
		"key":        func(o *Opened) { o.Key = nil },
		"offset":     func(o *Opened) { o.Offset = 1 },
		"no offset":  func(o *Opened) { o.Offset = 0 },
		"odd length": func(o *Opened) { o.Length = 513 },
	} {
		o := validOpened
		change(&o)
		message, err := EncodeResult(o, nil)
		if err != nil {
			t.Fatal(err)
		}
		if o, err := DecodeResult(message); err == nil {
			t.Errorf("%s: accepted %+v", name, o)
		}
	}
}

func FuzzDecodeResult(f *testing.F) {
	message, _ := EncodeResult(validOpened, nil)
	f.Add(message)
	f.Add([]byte(`{"Failure":"x"}`))
	f.Fuzz(func(t *testing.T, message []byte) {
		o, err := DecodeResult(message)
		if err == nil && (strings.ContainsAny(o.UUID+o.Encryption, " /\n") || len(o.Key) == 0 || o.SectorSize < 512) {
			t.Fatalf("%+v", o)
		}
	})
}
