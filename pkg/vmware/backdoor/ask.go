package backdoor

import (
	"errors"
	"fmt"
)

// RequestError is the text with which the host refuses a request.
type RequestError string

func (e RequestError) Error() string {
	return fmt.Sprintf("the host refused the request: %.80q", string(e))
}

// Ask makes a request to the host, and returns its answer. If the host refuses the request, it
// returns a [RequestError]. Each request has its own channel, so
// that a suspended or restored machine needs no other recovery.
func Ask(call Port, request string) (string, error) {
	c, err := Open(call, RPCI)
	if err != nil {
		return "", err
	}
	defer c.Close()
	if err := c.Send([]byte(request)); err != nil {
		return "", err
	}
	answer, err := c.Receive()
	switch {
	case err != nil:
		return "", err
	case len(answer) < 2 || answer[1] != ' ' || answer[0] != '0' && answer[0] != '1':
		return "", errors.New("the host sent an invalid answer")
	case answer[0] == '0':
		return "", RequestError(answer[2:])
	}
	return string(answer[2:]), nil
}
