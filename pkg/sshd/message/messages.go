package message

import "fmt"

// kinds has an empty message of each type. The index is its code.
var kinds = []func() Message{
	func() Message { return &Accepted{} },
	func() Message { return &Authenticated{} },
	func() Message { return &Ended{} },
	func() Message { return &Connect{} },
	func() Message { return &Grant{} },
	func() Message { return &Sign{} },
	func() Message { return &Signed{} },
	func() Message { return &Query{} },
	func() Message { return &Verify{} },
	func() Message { return &Verdict{} },
	func() Message { return &Start{} },
	func() Message { return &Started{} },
	func() Message { return &Exited{} },
	func() Message { return &Resize{} },
	func() Message { return &Signal{} },
	func() Message { return &Close{} },
	func() Message { return &Dial{} },
	func() Message { return &Dialed{} },
	func() Message { return &Listen{} },
	func() Message { return &Listening{} },
	func() Message { return &Forward{} },
	func() Message { return &Taken{} },
}

func kindOf(m Message) (byte, error) {
	want := fmt.Sprintf("%T", m)
	for code, empty := range kinds {
		if fmt.Sprintf("%T", empty()) == want {
			return byte(code), nil
		}
	}
	return 0, fmt.Errorf("%T: %w", m, ErrInvalid)
}

// Limits of fields, in bytes.
const (
	maxAddress = 64
	maxUser    = 64
	maxKey     = 16 << 10
	maxCommand = 32 << 10
	maxName    = 256
)

// Between listener and monitor.
type (
	// Accepted announces a connection to the monitor, with its socket.
	Accepted struct {
		ID            uint32
		Remote, Local string // address and port
	}
	// Taken tells the listener that the monitor has handled Accepted. Only then it gets another.
	Taken struct{}
	// Authenticated tells the listener that a user has proved a key. As its answer, it tells the
	// monitor that there is a place for the login. Without one the answer is Ended.
	Authenticated struct{ ID uint32 }
	// Ended tells the listener that the processes of a connection have ended, and the monitor to
	// end them.
	Ended struct{ ID uint32 }
)

func (m *Accepted) fields(f *fields) {
	f.uint32(&m.ID)
	f.text(&m.Remote, maxAddress)
	f.text(&m.Local, maxAddress)
}
func (m *Taken) fields(*fields)           {}
func (m *Authenticated) fields(f *fields) { f.uint32(&m.ID) }
func (m *Ended) fields(f *fields)         { f.uint32(&m.ID) }

// Between monitor and keys.
type (
	// Connect announces a connection to keys, with its channel to the speaker and then one file of
	// authorized keys for each of Users.
	Connect struct {
		ID     uint32
		Remote string
		Users  []string
	}
	// Grant tells the monitor that the user of a connection proved a key, and what the key permits.
	Grant struct {
		ID   uint32
		User string
		// Key is the type and fingerprint of the key, for the log.
		Key string
		// Command replaces the client's command unless it is empty.
		Command  string
		Terminal bool
		Forward  bool
		// Destinations are "host:port" that forwarding may reach. Empty means all.
		Destinations []string
	}
)

func (m *Connect) fields(f *fields) {
	f.uint32(&m.ID)
	f.text(&m.Remote, maxAddress)
	f.list(&m.Users, 32, maxUser)
}

func (m *Grant) fields(f *fields) {
	f.uint32(&m.ID)
	f.text(&m.User, maxUser)
	f.text(&m.Key, maxName)
	f.text(&m.Command, maxCommand)
	f.bool(&m.Terminal)
	f.bool(&m.Forward)
	f.list(&m.Destinations, 32, maxName)
}

// Between speaker and keys.
type (
	// Sign requests the host key's signature of an exchange hash. The first hash of a connection is
	// its session ID.
	Sign   struct{ Hash []byte }
	Signed struct{ Signature []byte }
	// Query asks whether a user may log in with a key.
	Query struct {
		User, Algorithm string
		Key             []byte
	}
	// Verify proves that the client has the key.
	Verify struct {
		User, Algorithm string
		Key             []byte
		Format          string
		Signature, Rest []byte
	}
	// Verdict answers Query and Verify. Terminal says whether the login may have terminals; it is
	// false for a Query.
	Verdict struct{ OK, Terminal bool }
)

func (m *Sign) fields(f *fields)   { f.data(&m.Hash, 64) }
func (m *Signed) fields(f *fields) { f.data(&m.Signature, 1<<10) }
func (m *Query) fields(f *fields) {
	f.text(&m.User, maxUser)
	f.text(&m.Algorithm, maxName)
	f.data(&m.Key, maxKey)
}

func (m *Verify) fields(f *fields) {
	f.text(&m.User, maxUser)
	f.text(&m.Algorithm, maxName)
	f.data(&m.Key, maxKey)
	f.text(&m.Format, maxName)
	f.data(&m.Signature, 4<<10)
	f.data(&m.Rest, 1<<10)
}
func (m *Verdict) fields(f *fields) { f.bool(&m.OK); f.bool(&m.Terminal) }

// Kind says what a session channel starts.
type Kind uint32

// The kinds of programs.
const (
	Shell Kind = iota
	Exec
	Subsystem
)

// Between speaker and session.
type (
	// Start starts a program. Channel is the speaker's number.
	Start struct {
		Channel uint32
		Kind    Kind
		Command string
		// Environment has items NAME=VALUE.
		Environment []string
		// HasTerminal asks for a terminal of the type Terminal with the encoded Modes (RFC 4254
		// section 8).
		HasTerminal bool
		Terminal    string
		Modes       []byte
		Size        Size
	}
	// Size is the size of a terminal in characters and pixels.
	Size struct{ Columns, Rows, Width, Height uint32 }
	// Started answers Start. With a terminal it has one file, else those of input, output and
	// errors.
	Started struct {
		Channel uint32
		OK      bool
		Files   uint32
	}
	// Exited is the end of a program, by a signal unless Signal is empty.
	Exited struct {
		Channel, Status uint32
		Signal          string
	}
	// Resize changes the size of a terminal.
	Resize struct {
		Channel uint32
		Size    Size
	}
	// Signal sends a signal, named without SIG, to a program.
	Signal struct {
		Channel uint32
		Name    string
	}
	// Close ends what a channel has.
	Close struct{ Channel uint32 }
	// Dial connects to a TCP port.
	Dial struct {
		Channel uint32
		Host    string
		Port    uint32
	}
	// Dialed answers Dial, with the socket.
	Dialed struct {
		Channel uint32
		OK      bool
	}
	// Listen listens on a TCP port. Port 0 means any.
	Listen struct {
		Channel uint32
		Host    string
		Port    uint32
	}
	// Listening answers Listen.
	Listening struct {
		Channel uint32
		OK      bool
		Port    uint32
	}
	// Forward is a connection to a listening channel, with its socket.
	Forward struct {
		Channel uint32
		Host    string
		Port    uint32
	}
)

func (m *Start) fields(f *fields) {
	f.uint32(&m.Channel)
	f.uint32((*uint32)(&m.Kind))
	f.failed = f.failed || m.Kind > Subsystem
	f.text(&m.Command, maxCommand)
	f.list(&m.Environment, 64, 4<<10)
	f.bool(&m.HasTerminal)
	f.text(&m.Terminal, maxName)
	f.data(&m.Modes, 1<<10)
	m.Size.fields(f)
}

func (m *Size) fields(f *fields) {
	for _, v := range []*uint32{&m.Columns, &m.Rows, &m.Width, &m.Height} {
		f.uint32(v)
	}
}

func (m *Started) fields(f *fields) {
	f.uint32(&m.Channel)
	f.bool(&m.OK)
	f.uint32(&m.Files)
	f.failed = f.failed || m.Files > 3
}

func (m *Exited) fields(f *fields) {
	f.uint32(&m.Channel)
	f.uint32(&m.Status)
	f.text(&m.Signal, maxName)
}
func (m *Resize) fields(f *fields) { f.uint32(&m.Channel); m.Size.fields(f) }
func (m *Signal) fields(f *fields) { f.uint32(&m.Channel); f.text(&m.Name, maxName) }
func (m *Close) fields(f *fields)  { f.uint32(&m.Channel) }
func (m *Dial) fields(f *fields) {
	f.uint32(&m.Channel)
	f.text(&m.Host, maxName)
	f.uint32(&m.Port)
}
func (m *Dialed) fields(f *fields) { f.uint32(&m.Channel); f.bool(&m.OK) }
func (m *Listen) fields(f *fields) {
	f.uint32(&m.Channel)
	f.text(&m.Host, maxName)
	f.uint32(&m.Port)
}

func (m *Listening) fields(f *fields) {
	f.uint32(&m.Channel)
	f.bool(&m.OK)
	f.uint32(&m.Port)
}

func (m *Forward) fields(f *fields) {
	f.uint32(&m.Channel)
	f.text(&m.Host, maxName)
	f.uint32(&m.Port)
}
