package lxd

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/canonical/lxd/shared/api"
)

// What is needed of version 3 of the SSH file transfer protocol, to read: the
// servers' own file API has no way to ask for a link's target and a folder's
// entries with what they are, and takes a request for each.
const (
	sftpInit     = 1
	sftpVersion  = 2
	sftpOpen     = 3
	sftpClose    = 4
	sftpRead     = 5
	sftpLstat    = 7
	sftpOpenDir  = 11
	sftpReadDir  = 12
	sftpStat     = 17
	sftpReadLink = 19
	sftpStatus   = 101
	sftpHandle   = 102
	sftpData     = 103
	sftpName     = 104
	sftpAttrs    = 105
)

const maxPacket = 1 << 20 // bytes of an answer

// dialSFTP opens the instance's file system. The connection is closed when ctx
// ends, whatever is going on over it.
func (i *Instance) dialSFTP(ctx context.Context) (io.ReadWriteCloser, error) {
	base := i.server.addr
	if _, ok := socketPath(base); ok {
		base = "http://unix.socket"
	}
	target := strings.TrimSuffix(base, "/") + "/1.0/instances/" + url.PathEscape(i.name) + "/sftp"
	if i.server.project != "" {
		target += "?project=" + url.QueryEscape(i.server.project)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", i.server.userAgent)
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", "sftp")
	resp, err := i.server.transport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	conn, ok := resp.Body.(io.ReadWriteCloser)
	if resp.StatusCode == http.StatusSwitchingProtocols && ok {
		return conn, nil
	}
	defer resp.Body.Close()
	var said struct{ Error string }
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxPacket)).Decode(&said); err != nil || said.Error == "" {
		said.Error = "the server answers " + resp.Status
	}
	return nil, api.StatusErrorf(resp.StatusCode, "%s", said.Error)
}

// An sftpConn asks a server. It is safe for concurrent use.
type sftpConn struct {
	conn io.ReadWriter

	mu sync.Mutex
	id uint32
}

// newSFTP greets the server.
func newSFTP(conn io.ReadWriter) (*sftpConn, error) {
	c := &sftpConn{conn: conn}
	if _, err := conn.Write([]byte{0, 0, 0, 5, sftpInit, 0, 0, 0, 3}); err != nil {
		return nil, err
	}
	hello, err := c.packet()
	if err == nil && hello[0] != sftpVersion {
		err = errAnswer
	}
	return c, err
}

var errAnswer = errors.New("the server's answer is no answer to what it was asked")

// A question is a request's type and what follows its number.
type question struct {
	typ  byte
	body []byte
}

// ask sends the questions at once, and returns the answers when all have come.
func (c *sftpConn) ask(questions ...question) ([]answer, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	first := c.id
	if err := c.send(questions...); err != nil {
		return nil, err
	}
	answers := make([]answer, len(questions))
	for left := len(questions); left > 0; {
		packet, err := c.packet()
		if err != nil {
			return nil, err
		}
		a := answer{typ: packet[0], rest: packet[1:]}
		nth := a.uint32() - first
		// What comes back of a handle that was given up is of no interest.
		if int64(nth) < int64(len(answers)) && answers[nth].typ == 0 {
			answers[nth] = a
			left--
		}
	}
	return answers, nil
}

// send sends the questions in one write.
func (c *sftpConn) send(questions ...question) error {
	var out []byte
	for _, q := range questions {
		out = binary.BigEndian.AppendUint32(out, uint32(5+len(q.body)))
		out = append(out, q.typ)
		out = binary.BigEndian.AppendUint32(out, c.id)
		out = append(out, q.body...)
		c.id++
	}
	_, err := c.conn.Write(out)
	return err
}

// giveUp closes a handle, and does not wait for what the server says to that.
func (c *sftpConn) giveUp(handle []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_ = c.send(question{sftpClose, handle}) // a connection that is lost shows in the next answer
}

// packet reads one packet: its type and the rest.
func (c *sftpConn) packet() ([]byte, error) {
	var size [4]byte
	if _, err := io.ReadFull(c.conn, size[:]); err != nil {
		return nil, unexpected(err)
	}
	n := binary.BigEndian.Uint32(size[:])
	if n < 5 || n > maxPacket {
		return nil, errAnswer
	}
	packet := make([]byte, n)
	_, err := io.ReadFull(c.conn, packet)
	return packet, unexpected(err)
}

// unexpected is the end of a connection that nobody closed.
func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// An answer is a packet that is being read. What it does not have is zero, and
// leaves it short.
type answer struct {
	typ   byte
	rest  []byte
	short bool
}

func (a *answer) take(n uint32) []byte {
	if uint64(n) > uint64(len(a.rest)) {
		a.short, a.rest = true, nil
		return nil
	}
	taken := a.rest[:n]
	a.rest = a.rest[n:]
	return taken
}

func (a *answer) uint32() uint32 {
	if b := a.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (a *answer) uint64() uint64 {
	high := a.uint32()
	return uint64(high)<<32 | uint64(a.uint32())
}

func (a *answer) bytes() []byte { return a.take(a.uint32()) }

// is tells whether the answer is of the type; a status is an error, and so is
// any other.
func (a *answer) is(typ byte) error {
	switch {
	case a.typ == typ:
		return nil
	case a.typ == sftpStatus:
		code := a.uint32()
		return statusError(code, string(a.bytes()))
	}
	return errAnswer
}

// statusError is what the status says. The protocol has few codes, and the
// servers put the system's own error into the text.
func statusError(code uint32, text string) error {
	switch code {
	case 0:
		return errAnswer // it was asked for more than that
	case 1:
		return io.EOF
	case 2:
		return fs.ErrNotExist
	case 3:
		return fs.ErrPermission
	}
	for _, known := range fileErrors() {
		if strings.HasSuffix(text, known.Error()) {
			return known
		}
	}
	return fmt.Errorf("the server says: %.200q", text)
}

// sftpText is text as the protocol has it.
func sftpText(s string) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(s))), s...)
}
