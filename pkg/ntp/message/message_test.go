package message

import (
	"reflect"
	"testing"
	"time"

	"lkt/ntp/agree"
)

func TestDecodeReturnsWhatWasEncoded(t *testing.T) {
	round := Round{Servers: 3, Clocks: []agree.Clock{{Offset: -time.Hour, Distance: time.Millisecond}, {Offset: 1, Distance: 1}}}
	if got, err := DecodeRound(round.Encode()); err != nil || !reflect.DeepEqual(got, round) {
		t.Errorf("%+v, %v", got, err)
	}
	answer := Answer{Agreed: true, Interval: time.Minute}
	if got, err := DecodeAnswer(answer.Encode()); err != nil || got != answer {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestDecodeRoundRejectsImpossibleClocks(t *testing.T) {
	for _, c := range []agree.Clock{{Offset: 1 << 62, Distance: 1}, {Offset: -1 << 62, Distance: 1}, {Distance: 0}, {Distance: time.Hour}, {Distance: -1}} {
		if _, err := DecodeRound(Round{Servers: 1, Clocks: []agree.Clock{c}}.Encode()); err == nil {
			t.Errorf("accepted %+v", c)
		}
	}
	if _, err := DecodeRound(Round{Servers: 1, Clocks: make([]agree.Clock, 2)}.Encode()); err == nil {
		t.Error("accepted more clocks than servers")
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(Round{Servers: 3, Clocks: []agree.Clock{{Offset: time.Hour, Distance: 1}}}.Encode())
	f.Add(Answer{Interval: 1}.Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := DecodeRound(b); err == nil {
			if len(r.Clocks) > r.Servers || r.Servers > MaxClocks {
				t.Fatalf("%+v", r)
			}
			_, _, _ = agree.On(r.Clocks, r.Servers)
		}
		_, _ = DecodeAnswer(b)
	})
}
