package main

import (
	"fmt"
	"time"

	"lkt/shutdown"
	"lkt/vmware/backdoor"
)

const (
	// minDelay and maxDelay bound the pause after the host was asked and had no message. VMware
	// expects to be asked ten times a second.
	minDelay = 10 * time.Millisecond
	maxDelay = 100 * time.Millisecond
	// maxBurst is the number of messages without a pause that are answered at once.
	maxBurst = 64
	// reconnectDelay is the pause before another channel.
	reconnectDelay = time.Second
	// reportDelay is the time between checks for facts that have changed.
	reportDelay = 30 * time.Second
)

// agent answers messages.
type agent struct {
	call  backdoor.Port
	power func(shutdown.Mode) error
	// sleep pauses. Tests of hostile hosts do not.
	sleep func(time.Duration)
	// isEnding is set when the host has requested a shutdown: PID 1 takes a second one as force.
	isEnding bool
	// hasAddress is set when the host wants the address as a variable too.
	hasAddress bool
	// sent are the facts that the host has, by their names.
	sent map[string]string
	// reportAt is when facts are compared again; the zero time means never.
	reportAt time.Time
}

func newAgent(call backdoor.Port, power func(shutdown.Mode) error) *agent {
	return &agent{call: call, power: power, sleep: time.Sleep, sent: map[string]string{}}
}

// serve answers the host. A channel that breaks is replaced.
func (a *agent) serve() {
	isBroken := false
	for {
		err := a.connect(func() {
			if isBroken {
				fmt.Println("vmtoolsd: the host answers again")
			}
			isBroken = false
		})
		if !isBroken {
			fmt.Printf("vmtoolsd: %v; tries again\n", err)
		}
		isBroken = true
		a.sleep(reconnectDelay)
	}
}

// connect opens a channel and answers the messages of the host there, until the channel breaks. It
// calls works at the first message.
func (a *agent) connect(works func()) error {
	channel, err := backdoor.Open(a.call, backdoor.TCLO)
	if err != nil {
		return err
	}
	defer channel.Close()
	var answer []byte
	var delay time.Duration
	burst := 0
	for {
		// The host takes an empty answer as a sign of life.
		if err := channel.Send(answer); err != nil {
			return fmt.Errorf("answer the host: %w", err)
		}
		message, err := channel.Receive()
		if err != nil {
			return fmt.Errorf("receive from the host: %w", err)
		}
		switch {
		case message == nil:
			answer, burst = nil, 0
			delay = min(max(2*delay, minDelay), maxDelay)
		default:
			works()
			answer, delay = a.answer(message), 0
			if burst++; burst > maxBurst {
				delay = maxDelay
			}
		}
		if now := time.Now(); !a.reportAt.IsZero() && answer == nil && now.After(a.reportAt) {
			a.report()
			a.reportAt = now.Add(reportDelay)
		}
		a.sleep(delay)
	}
}
