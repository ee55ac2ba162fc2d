package nts

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"
)

func unhex(t *testing.T, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// RFC 4493 section 4.
func TestCMACVectors(t *testing.T) {
	key := unhex(t, "2b7e1516 28aed2a6 abf71588 09cf4f3c")
	s, err := newSIV(append(key, key...))
	if err != nil {
		t.Fatal(err)
	}
	message := unhex(t, "6bc1bee22e409f96e93d7e117393172a ae2d8a571e03ac9c9eb76fac45af8e51 30c81c46a35ce411e5fbc1191a0a52ef f69f2445df4f9b17ad2b417be66c3710")
	for size, want := range map[int]string{
		0: "bb1d6929e95937287fa37d129b756746", 16: "070a16b46b4d4144f79bdd9dd04a287c",
		40: "dfa66747de9ae63030ca32611497c827", 64: "51f0bebf7e3b9d92fc49741779363cfe",
	} {
		if got := s.cmac(message[:size]); !bytes.Equal(got[:], unhex(t, want)) {
			t.Errorf("%d bytes: %x", size, got)
		}
	}
}

// RFC 5297 appendix A.
func TestSIVVectors(t *testing.T) {
	for name, v := range map[string]struct {
		key, plaintext, sealed string
		data                   []string
	}{
		"deterministic": {
			"fffefdfc fbfaf9f8 f7f6f5f4 f3f2f1f0 f0f1f2f3 f4f5f6f7 f8f9fafb fcfdfeff",
			"11223344 55667788 99aabbcc ddee",
			"85632d07 c6e8f37f 950acd32 0a2ecc93 40c02b96 90c4dc04 daef7f6a fe5c",
			[]string{"10111213 14151617 18191a1b 1c1d1e1f 20212223 24252627"},
		},
		"with a nonce": {
			"7f7e7d7c 7b7a7978 77767574 73727170 40414243 44454647 48494a4b 4c4d4e4f",
			"74686973 20697320 736f6d65 20706c61 696e7465 78742074 6f20656e 63727970 74207573 696e6720 5349562d 414553",
			"7bdb6e3b 432667eb 06f4d14b ff2fbd0f cb900f2f ddbe4043 26601965 c889bf17 dba77ceb 094fa663 b7a3f748 ba8af829 ea64ad54 4a272e9c 485b62a3 fd5c0d",
			[]string{
				"00112233 44556677 8899aabb ccddeeff deaddada deaddada ffeeddcc bbaa9988 77665544 33221100",
				"10203040 50607080 90a0", "09f91102 9d74e35b d84156c5 635688c0",
			},
		},
	} {
		s, err := newSIV(unhex(t, v.key))
		if err != nil {
			t.Fatal(err)
		}
		var data [][]byte
		for _, part := range v.data {
			data = append(data, unhex(t, part))
		}
		sealed := s.seal(unhex(t, v.plaintext), data...)
		if !bytes.Equal(sealed, unhex(t, v.sealed)) {
			t.Errorf("%s: %x", name, sealed)
		}
		if plaintext, err := s.open(sealed, data...); err != nil || !bytes.Equal(plaintext, unhex(t, v.plaintext)) {
			t.Errorf("%s: %x, %v", name, plaintext, err)
		}
		for i := range sealed {
			sealed[i] ^= 1
			if _, err := s.open(sealed, data...); err == nil {
				t.Errorf("%s: opened with another byte %d", name, i)
			}
			sealed[i] ^= 1
		}
		data[0][0] ^= 1
		if _, err := s.open(sealed, data...); err == nil {
			t.Errorf("%s: opened with other data", name)
		}
		if _, err := s.open(sealed[:blockSize-1]); err == nil {
			t.Errorf("%s: opened less than a block", name)
		}
	}
	if _, err := newSIV(make([]byte, keySize-1)); err == nil {
		t.Error("accepted a short key")
	}
}
