package checks

import (
	"testing"
	"testing/fstest"
)

func TestKernelParameters(t *testing.T) {
	sys := &System{FS: fstest.MapFS{
		"etc/shadow":                                   {Data: []byte("secret")},
		"proc/sys/kernel/ostype":                       {Data: []byte("Linux\n")},
		"proc/sys/net/core/somaxconn":                  {Data: []byte("4096\n")},
		"proc/sys/net/ipv4/tcp_rmem":                   {Data: []byte("4096\t131072\t6291456\n")},
		"proc/sys/net/ipv4/conf/eth0.100/forwarding":   {Data: []byte("1\n")},
		"proc/sys/net/ipv4/conf/eth0/100/never/a/file": {},
	}}
	for _, tt := range []struct {
		name, want string
		verdict    Verdict
		message    string
	}{
		{"kernel.ostype", `"Linux"`, Pass, ""},
		{"kernel/ostype", `"Linux"`, Pass, ""},
		{"net.core.somaxconn", `"4096"`, Pass, ""},
		{"net.core.somaxconn", `{"gt": 200}`, Pass, ""},
		{"net.core.somaxconn", `"128"`, Fail, ""},
		{"net.ipv4.tcp_rmem", `"4096\t131072\t6291456"`, Pass, ""},
		{"net.ipv4.conf.eth0/100.forwarding", `"1"`, Pass, ""},
		{"net/ipv4/conf/eth0.100/forwarding", `"1"`, Pass, ""},
		{"kernel.nosuch", `"1"`, Fail, "the kernel has no such parameter"},
		{"kernel.nosuch", `{"not": "1"}`, Fail, "the kernel has no such parameter"},
		{"/../../etc/shadow", `"secret"`, Fail, "the kernel has no such parameter"},
	} {
		checkProperty(t, sys, "kernel-param", tt.name, "value", tt.want, tt.verdict, tt.message)
	}
	k := &KernelParam{Common: Common{Key: "a name"}, Name: "kernel.ostype", Value: want(t, String, `"Linux"`)}
	checkTold(t, k.Evaluate(t.Context(), sys), "value pass\n")
}
