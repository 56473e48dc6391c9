package sigv4

import (
	"bufio"
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"strconv"
	"strings"
)

var (
	errWrongHash  = &Error{"XAmzContentSHA256Mismatch", "the body is not the one that was signed"}
	errWrongChunk = &Error{"SignatureDoesNotMatch", "a chunk of the body is not the one that was signed"}
	errNoChunks   = &Error{"IncompleteBody", "the body is not made of chunks as it should be"}
)

// A hashedReader fails at the end of a body that has another hash.
type hashedReader struct {
	r    io.Reader
	hash hash.Hash
	want string
}

func (h *hashedReader) Read(p []byte) (int, error) {
	n, err := h.r.Read(p)
	h.hash.Write(p[:n])
	if err == io.EOF && hex.EncodeToString(h.hash.Sum(nil)) != h.want {
		err = errWrongHash
	}
	return n, err
}

// A chunkReader reads a body that comes in chunks, each of which is signed
// together with the one before it. A chunk's bytes are given away before its
// signature is checked, so what was read is to be forgotten where an error ends it.
type chunkReader struct {
	r      *bufio.Reader
	signer *signer
	before string // the signature before that of the chunk
	claim  string // the chunk's signature, as its header says
	hash   hash.Hash
	chunk  int64 // of the chunk, how much is left
	left   int64 // of the whole
	err    error
}

func newChunkReader(r io.Reader, s *signer, seed string, size int64) *chunkReader {
	return &chunkReader{r: bufio.NewReader(r), signer: s, before: seed, hash: sha256.New(), left: size}
}

func (c *chunkReader) Read(p []byte) (int, error) {
	if c.err == nil && c.chunk == 0 {
		c.err = c.next()
	}
	if c.err != nil {
		return 0, c.err
	}
	n, err := c.r.Read(p[:min(int64(len(p)), c.chunk)])
	c.hash.Write(p[:n])
	c.chunk -= int64(n)
	c.left -= int64(n)
	if err == nil && c.chunk == 0 && n > 0 {
		err = c.end()
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	c.err = err
	return n, err
}

// next reads a chunk's header. The last chunk is empty, and the end of the body.
func (c *chunkReader) next() error {
	line, err := c.line()
	if err != nil {
		return err
	}
	length, signature, ok := strings.Cut(line, ";chunk-signature=")
	size, err := strconv.ParseInt(length, 16, 64)
	if !ok || err != nil || size < 0 || size > c.left {
		return errNoChunks
	}
	c.claim, c.chunk = signature, size
	c.hash.Reset()
	if size > 0 {
		return nil
	}
	if err := c.end(); err != nil {
		return err
	}
	if c.left > 0 {
		return errNoChunks
	}
	return io.EOF
}

// end checks the signature of a chunk that was read.
func (c *chunkReader) end() error {
	line, err := c.line()
	if err != nil {
		return err
	}
	if line != "" {
		return errNoChunks
	}
	want := c.signer.sign(algorithm+"-PAYLOAD", c.before, hash256(nil), hex.EncodeToString(c.hash.Sum(nil)))
	if !hmac.Equal([]byte(want), []byte(c.claim)) {
		return errWrongChunk
	}
	c.before = want
	return nil
}

// line reads a line of a chunk's frame, all of which are short.
func (c *chunkReader) line() (string, error) {
	line, err := c.r.ReadSlice('\n')
	switch {
	case errors.Is(err, io.EOF):
		return "", io.ErrUnexpectedEOF
	case errors.Is(err, bufio.ErrBufferFull):
		return "", errNoChunks
	case err != nil:
		return "", err
	}
	text, ok := bytes.CutSuffix(line, []byte("\r\n"))
	if !ok {
		return "", errNoChunks
	}
	return string(text), nil
}
