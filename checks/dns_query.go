package checks

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
)

// The standard library resolves names only as programs do: it looks into
// /etc/hosts first, follows a CNAME to its end, and knows no CAA. To ask one
// server for the records of one type, this is a small client of RFC 1035.

const (
	typeA     = 1
	typeAAAA  = 28
	classINET = 1

	headerLen = 12
	maxUDP    = 1232 // what passes without fragments, announced by EDNS
)

// recordTypes are the types that can be asked for.
func recordTypes() map[string]uint16 {
	return map[string]uint16{
		"A": typeA, "NS": 2, "CNAME": 5, "PTR": 12, "MX": 15, "TXT": 16,
		"AAAA": typeAAAA, "SRV": 33, "SSHFP": 44, "CAA": 257,
	}
}

// query asks the server for the name's records of the type, and returns them
// as goss writes them.
func query(ctx context.Context, server, name string, qtype uint16) ([]string, error) {
	question, err := appendQuestion(nil, name, qtype)
	if err != nil {
		return nil, err
	}
	var id [2]byte
	rand.Read(id[:]) // never fails
	msg := append(id[:], 1, 0, 0, 1, 0, 0, 0, 0, 0, 1)
	msg = append(msg, question...)
	// EDNS: an empty name, OPT, the size that we take, no options.
	msg = append(msg, 0, 0, 41, maxUDP>>8, maxUDP&255, 0, 0, 0, 0, 0, 0)

	answer, err := exchange(ctx, "udp", server, msg)
	if err == nil && answer[2]&2 != 0 { // truncated
		answer, err = exchange(ctx, "tcp", server, msg)
	}
	if err != nil {
		return nil, err
	}
	records, err := parseAnswer(answer, question, qtype)
	if notFound, ok := errors.AsType[*net.DNSError](err); ok {
		notFound.Name, notFound.Server = name, server
	}
	return records, err
}

// exchange sends a message and returns the answer to it, which has at least a
// header. Over UDP, what is no answer to it is ignored.
func exchange(ctx context.Context, network, server string, msg []byte) ([]byte, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, server)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	// Reading ends when the context does.
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	if network == "tcp" {
		msg = append(binary.BigEndian.AppendUint16(nil, uint16(len(msg))), msg...)
	}
	if _, err := conn.Write(msg); err != nil {
		return nil, err
	}
	if network == "tcp" {
		return readTCP(conn, msg[2:])
	}
	buf := make([]byte, 64<<10)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			return nil, err
		}
		if answers(buf[:n], msg) {
			return buf[:n], nil
		}
	}
}

func readTCP(conn io.Reader, msg []byte) ([]byte, error) {
	var size [2]byte
	if _, err := io.ReadFull(conn, size[:]); err != nil {
		return nil, err
	}
	answer := make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(conn, answer); err != nil {
		return nil, err
	}
	if !answers(answer, msg) {
		return nil, errMalformed
	}
	return answer, nil
}

// answers tells whether b is a response with the message's id.
func answers(b, msg []byte) bool {
	return len(b) >= headerLen && b[0] == msg[0] && b[1] == msg[1] && b[2]&0x80 != 0
}

func appendQuestion(b []byte, name string, qtype uint16) ([]byte, error) {
	start := len(b)
	for label := range strings.SplitSeq(strings.TrimSuffix(name, "."), ".") {
		if len(label) == 0 || len(label) > 63 {
			return nil, inconclusivef("%q is no name to look up", name)
		}
		b = append(append(b, byte(len(label))), label...)
	}
	b = append(b, 0)
	if len(b)-start > 255 {
		return nil, inconclusivef("%q is no name to look up", name)
	}
	b = binary.BigEndian.AppendUint16(b, qtype)
	return binary.BigEndian.AppendUint16(b, classINET), nil
}

var errMalformed = errors.New("the server's answer is malformed")

// parseAnswer returns the records of the type in the answer to the question.
// That there are none is an error that says whether the name exists.
func parseAnswer(msg, question []byte, qtype uint16) ([]string, error) {
	if len(msg) < headerLen {
		return nil, errMalformed
	}
	questions, count := binary.BigEndian.Uint16(msg[4:]), int(binary.BigEndian.Uint16(msg[6:]))
	switch code := msg[3] & 15; {
	case code == 3:
		return nil, &net.DNSError{Err: "no such host", IsNotFound: true}
	case code != 0:
		return nil, fmt.Errorf("the server answers with code %d", code)
	}
	at := headerLen
	asked, ok := slice(msg, at, len(question))
	if questions != 1 || !ok || !strings.EqualFold(string(asked), string(question)) {
		return nil, errMalformed
	}
	at += len(question)
	var records []string
	for range count {
		_, next, ok := readName(msg, at)
		fixed, fits := slice(msg, next, 10)
		if !ok || !fits {
			return nil, errMalformed
		}
		length := int(binary.BigEndian.Uint16(fixed[8:]))
		at = next + 10
		if _, fits := slice(msg, at, length); !fits {
			return nil, errMalformed
		}
		if binary.BigEndian.Uint16(fixed) == qtype {
			found, ok := readRecord(msg, at, length, qtype)
			if !ok {
				return nil, errMalformed
			}
			records = append(records, found...)
		}
		at += length
	}
	if len(records) == 0 {
		return nil, &net.DNSError{Err: "no such record", IsNotFound: true}
	}
	return records, nil
}

// readRecord returns a record's data as text: most have one, a TXT each of
// its strings.
func readRecord(msg []byte, at, length int, qtype uint16) ([]string, bool) {
	data := msg[at : at+length]
	switch qtype {
	case typeA, typeAAAA:
		addr, ok := netip.AddrFromSlice(data)
		return []string{addr.String()}, ok && (len(data) == 4) == (qtype == typeA)
	case 2, 5, 12: // NS, CNAME, PTR
		name, _, ok := readName(msg, at)
		return []string{name}, ok
	case 15: // MX
		return numbersAndName(msg, at, length, 1)
	case 33: // SRV
		return numbersAndName(msg, at, length, 3)
	case 16: // TXT
		var texts []string
		for len(data) > 0 {
			text, ok := slice(data, 1, int(data[0]))
			if !ok {
				return nil, false
			}
			texts = append(texts, string(text))
			data = data[1+len(text):]
		}
		return texts, true
	case 44: // SSHFP
		if length < 2 {
			return nil, false
		}
		return []string{fmt.Sprintf("%d %d %s", data[0], data[1], hex.EncodeToString(data[2:]))}, true
	case 257: // CAA
		if length < 2 || 2+int(data[1]) > length {
			return nil, false
		}
		tag := data[2 : 2+data[1]]
		return []string{fmt.Sprintf("%d %s %s", data[0], tag, data[2+len(tag):])}, true
	}
	return nil, false
}

// numbersAndName reads a record of some 16-bit numbers and a name.
func numbersAndName(msg []byte, at, length, numbers int) ([]string, bool) {
	if length < 2*numbers {
		return nil, false
	}
	var b strings.Builder
	for range numbers {
		fmt.Fprintf(&b, "%d ", binary.BigEndian.Uint16(msg[at:]))
		at += 2
	}
	name, _, ok := readName(msg, at)
	return []string{b.String() + name}, ok
}

// readName reads a name, which may be compressed, and where it ends. Pointers
// must lead backwards, so that there is no loop.
func readName(msg []byte, at int) (name string, next int, ok bool) {
	var b strings.Builder
	limit := len(msg)
	for next = -1; at < limit; {
		length := int(msg[at])
		switch {
		case length == 0:
			if next < 0 {
				next = at + 1
			}
			if b.Len() == 0 {
				return ".", next, true
			}
			return b.String(), next, b.Len() <= 255
		case length < 64:
			label, ok := slice(msg, at+1, length)
			if !ok || b.Len() > 255 {
				return "", 0, false
			}
			b.Write(label)
			b.WriteByte('.')
			at += 1 + length
		case length >= 0xC0 && at+1 < len(msg):
			if next < 0 {
				next = at + 2
			}
			target := int(binary.BigEndian.Uint16(msg[at:])) & 0x3FFF
			limit = at // what is pointed to lies before this
			at = target
		default:
			return "", 0, false
		}
	}
	return "", 0, false
}

// slice is b[at:at+n] where that is in b.
func slice(b []byte, at, n int) ([]byte, bool) {
	if at < 0 || n < 0 || at > len(b) || n > len(b)-at {
		return nil, false
	}
	return b[at : at+n], true
}
