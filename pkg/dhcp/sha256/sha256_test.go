package sha256

import (
	"crypto/sha256"
	"testing"
)

func TestSumIsThatOfTheStandardLibrary(t *testing.T) {
	message := make([]byte, 3*blockSize)
	for at := range message {
		message[at] = byte(at * at)
	}
	for size := range len(message) + 1 {
		want := sha256.Sum256(message[:size])
		if got := Sum(message[:size/3], nil, message[size/3:size]); got != want {
			t.Errorf("%d bytes: got %x, want %x", size, got, want)
		}
	}
}
