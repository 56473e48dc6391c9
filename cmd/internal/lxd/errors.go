package lxd

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"

	"github.com/canonical/lxd/shared/api"
)

// An UnknownRemoteError says that no remote of that name is configured.
type UnknownRemoteError struct {
	Name  string
	Known []string // sorted
}

func (e *UnknownRemoteError) Error() string {
	return fmt.Sprintf("unknown remote %q (known: %s)", e.Name, strings.Join(e.Known, ", "))
}

// An UnusableRemoteError says that nothing can be launched on a remote as it is configured.
type UnusableRemoteError struct {
	Name, Why string
}

func (e *UnusableRemoteError) Error() string { return "remote " + e.Name + e.Why }

// An AmbiguousRemoteError says that the lxc client and the incus client both have a
// remote of that name, for different servers or projects.
type AmbiguousRemoteError struct {
	Name       string
	LXC, Incus string // addresses
}

func (e *AmbiguousRemoteError) Error() string {
	return fmt.Sprintf("remote %s is two: lxc has it at %s, incus at %s", e.Name, e.LXC, e.Incus)
}

// An UnreachableError says that the server does not answer.
type UnreachableError struct {
	Remote string
	Addr   string
	Err    error
}

func (e *UnreachableError) Error() string {
	return fmt.Sprintf("remote %s (%s) does not answer: %v", e.Remote, e.Addr, e.Err)
}

func (e *UnreachableError) Unwrap() error { return e.Err }

// An UntrustedError says that the server does not trust our certificate.
type UntrustedError struct{ Remote string }

func (e *UntrustedError) Error() string {
	return fmt.Sprintf("remote %s does not trust this client's certificate", e.Remote)
}

// A ForbiddenError says that the server does not take a client's certificate, for
// that token or password or from whom we are.
type ForbiddenError struct {
	Remote string
	Err    error
}

func (e *ForbiddenError) Error() string {
	return fmt.Sprintf("remote %s does not take the certificate: %v", e.Remote, e.Err)
}

func (e *ForbiddenError) Unwrap() error { return e.Err }

// A CertificateError says that the server showed a certificate that is neither
// verified by a CA nor pinned. Nothing was sent to it.
type CertificateError struct {
	Remote      string
	Fingerprint string // sha256 of the server's certificate, in hex
	Err         error  // why it is not verified
}

func (e *CertificateError) Error() string {
	return fmt.Sprintf("remote %s shows a certificate that is not trusted (fingerprint %s): %v", e.Remote, e.Fingerprint, e.Err)
}

func (e *CertificateError) Unwrap() error { return e.Err }

// A NotFoundError says that the server has no such thing.
type NotFoundError struct {
	What string // image, instance, project
	Name string
}

func (e *NotFoundError) Error() string { return fmt.Sprintf("%s %q not found", e.What, e.Name) }

// A StartError says that an instance did not start.
type StartError struct {
	Err error
	Log string // the tail of the instance's lxc.log
	// Reason says what is wrong with the init, where that is what is wrong.
	Reason string
	// ImageFault is set where the log proves that the image's init is missing
	// or cannot be executed.
	ImageFault bool
}

func (e *StartError) Error() string {
	if e.Reason != "" {
		return "start: " + e.Reason
	}
	return fmt.Sprintf("start: %v", e.Err)
}

func (e *StartError) Unwrap() error { return e.Err }

// An AgentError says that a virtual machine's agent does not answer, or not yet.
type AgentError struct{ Err error }

func (e *AgentError) Error() string { return fmt.Sprintf("the virtual machine's agent: %v", e.Err) }

func (e *AgentError) Unwrap() error { return e.Err }

// A HiddenError says that the server does not show the files of an instance that
// does not run.
type HiddenError struct{ Err error }

func (e *HiddenError) Error() string {
	return fmt.Sprintf("the server shows no files of a virtual machine that does not run: %v", e.Err)
}

func (e *HiddenError) Unwrap() error { return e.Err }

// guestError gives an error of a request to the guest its type.
func guestError(err error) error {
	var status api.StatusError
	var failed *operationError
	if (errors.As(err, &status) || errors.As(err, &failed)) && strings.Contains(strings.ToLower(err.Error()), "agent") {
		return &AgentError{err}
	}
	return err
}

// Refused tells whether the server, or the guest through it, answered no, rather
// than nothing at all.
func Refused(err error) bool {
	var failed *operationError
	return isRefusal(err) || errors.As(err, &failed)
}

// Ending tells whether the server lost a guest between two looks at it: Incus asks the
// kernel about the process of one that has just ended.
func Ending(err error) bool { return Refused(err) && strings.Contains(err.Error(), "Invalid PID") }

// Full tells whether the server, or the project on it, has no room for one more
// instance: no space, no memory, or none left of a quota.
func Full(err error) bool {
	text := strings.ToLower(err.Error())
	for _, sign := range []string{
		"no space left", "disk quota exceeded", "quota exceeded", "not enough space", "insufficient free space", "insufficient space", "out of space",
		"cannot allocate memory", "not enough memory", "out of memory",
		"reached maximum number of", "reached maximum aggregate value",
		"no free ip", "no available dhcp", "too many open files",
	} {
		if strings.Contains(text, sign) {
			return true
		}
	}
	return false
}

// Unanswered tells whether the server gave no answer, or not all of it.
func Unanswered(err error) bool {
	var unreachable *UnreachableError
	var network net.Error
	if Refused(err) {
		return false
	}
	return errors.As(err, &unreachable) || errors.As(err, &network) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, errLost)
}

func isNotFound(err error) bool { return api.StatusErrorCheck(err, http.StatusNotFound) }

// isRefusal tells whether the server itself answered no, so that nothing was
// done. Without such an answer a request may have been taken.
func isRefusal(err error) bool { return api.StatusErrorCheck(err) }
