package luks

import (
	"encoding/binary"
	"math/bits"
	"sync"
)

// The Argon2 types of LUKS2, by their numbers in RFC 9106.
const (
	argon2i  = 1
	argon2id = 2
)

type block [128]uint64

// argon2 is the state of an Argon2 computation (RFC 9106, version 0x13).
type argon2 struct {
	kind, passes, lanes int
	memory              []block // one lane after the other
	// Of each lane, in blocks; a segment is a quarter of a lane.
	length, segment int
}

// argon2Key derives a key of size bytes from a secret. memory is in KiB.
func argon2Key(kind int, secret, salt []byte, passes, memory, lanes, size int) []byte {
	length := max(memory, 8*lanes) / (4 * lanes) * 4
	a := argon2{kind: kind, passes: passes, lanes: lanes, memory: make([]block, length*lanes), length: length, segment: length / 4}
	seed := blake2b(64, words(lanes, size, memory, passes, 0x13, kind, len(secret)), secret, words(len(salt)), salt, words(0, 0))
	for lane := range lanes {
		for i := range 2 {
			a.memory[lane*length+i].read(longHash(1024, seed, words(i, lane)))
		}
	}
	for pass := range passes {
		for slice := range 4 {
			var lanes sync.WaitGroup
			for lane := range a.lanes {
				lanes.Add(1)
				go func() {
					defer lanes.Done()
					a.fill(pass, slice, lane)
				}()
			}
			lanes.Wait()
		}
	}
	last := a.memory[length-1]
	for lane := 1; lane < lanes; lane++ {
		last.xor(&a.memory[(lane+1)*length-1])
	}
	b := make([]byte, 1024)
	for i, word := range last {
		binary.LittleEndian.PutUint64(b[8*i:], word)
	}
	clear(a.memory)
	return longHash(size, b)
}

// fill computes a segment of a lane.
func (a *argon2) fill(pass, slice, lane int) {
	independent := a.kind == argon2i || pass == 0 && slice < 2
	var input, addresses block
	copy(input[:], []uint64{uint64(pass), uint64(lane), uint64(slice), uint64(len(a.memory)), uint64(a.passes), uint64(a.kind)})
	for i := range a.segment {
		if independent && i%128 == 0 {
			input[6]++
			var zero block
			addresses = block{}
			addresses.mix(&zero, &input)
			addresses.mix(&zero, &addresses)
		}
		if pass == 0 && slice == 0 && i < 2 {
			continue
		}
		at := slice*a.segment + i
		previous := &a.memory[lane*a.length+(at+a.length-1)%a.length]
		random := previous[0]
		if independent {
			random = addresses[i%128]
		}
		current := &a.memory[lane*a.length+at]
		var mixed block
		mixed.mix(previous, a.reference(pass, slice, lane, i, random))
		if pass == 0 {
			*current = mixed
		} else {
			current.xor(&mixed)
		}
	}
}

// reference returns the reference block: one that was computed before, and not by another lane at
// the moment.
func (a *argon2) reference(pass, slice, lane, i int, random uint64) *block {
	other := int(random>>32) % a.lanes
	if pass == 0 && slice == 0 {
		other = lane
	}
	area, start := slice*a.segment, 0
	if pass > 0 {
		area, start = a.length-a.segment, (slice+1)%4*a.segment
	}
	if other == lane {
		area += i - 1
	} else if i == 0 {
		area--
	}
	x := random & 0xffffffff
	x = x * x >> 32
	at := start + area - 1 - int(uint64(area)*x>>32)
	return &a.memory[other*a.length+at%a.length]
}

// mix computes the compression function G of two blocks.
func (b *block) mix(x, y *block) {
	var r block
	for i := range r {
		r[i] = x[i] ^ y[i]
	}
	z := r
	for i := 0; i < 128; i += 16 {
		var row [16]*uint64
		for k := range row {
			row[k] = &z[i+k]
		}
		permute(&row)
	}
	for i := 0; i < 16; i += 2 {
		var column [16]*uint64
		for k := range column {
			column[k] = &z[k/2*16+i+k%2]
		}
		permute(&column)
	}
	z.xor(&r)
	*b = z
}

func permute(v *[16]*uint64) {
	for _, q := range mixOrder {
		a, b, c, d := v[q[0]], v[q[1]], v[q[2]], v[q[3]]
		*a = multiply(*a, *b)
		*d = bits.RotateLeft64(*d^*a, -32)
		*c = multiply(*c, *d)
		*b = bits.RotateLeft64(*b^*c, -24)
		*a = multiply(*a, *b)
		*d = bits.RotateLeft64(*d^*a, -16)
		*c = multiply(*c, *d)
		*b = bits.RotateLeft64(*b^*c, -63)
	}
}

func multiply(a, b uint64) uint64 {
	return a + b + 2*(a&0xffffffff)*(b&0xffffffff)
}

func (b *block) xor(by *block) {
	for i := range b {
		b[i] ^= by[i]
	}
}

func (b *block) read(from []byte) {
	for i := range b {
		b[i] = binary.LittleEndian.Uint64(from[8*i:])
	}
}

// longHash is H′, the variable-length hash.
func longHash(size int, input ...[]byte) []byte {
	input = append([][]byte{words(size)}, input...)
	if size <= 64 {
		return blake2b(size, input...)
	}
	sum := blake2b(64, input...)
	out := append([]byte(nil), sum[:32]...)
	for size-len(out) > 64 {
		sum = blake2b(64, sum)
		out = append(out, sum[:32]...)
	}
	return append(out, blake2b(size-len(out), sum)...)
}

// words encodes numbers of 32 bits.
func words(numbers ...int) []byte {
	var b []byte
	for _, number := range numbers {
		b = binary.LittleEndian.AppendUint32(b, uint32(number))
	}
	return b
}
