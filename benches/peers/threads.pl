#!/usr/bin/env perl
# What a second thread (or as many as the machine has) saves: Keshi's workloads over a millisecond that memory does not bound, with one
# thread and with all, in turn in one run; prints the medians and the speed-ups.
# usage: threads.pl [rounds]
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Workers qw(start ask median);

my $rounds = shift // 5;
chomp(my $all = `nproc`);
my %worker;
for my $threads (1, $all) {
    local $ENV{KESHI_NUM_THREADS} = $threads;
    $worker{$threads} = start(@Workers::KESHI) or die "the worker does not start\n";
}

printf "%-26s %12s %12s %9s\n", 'workload', '1 thread, ms', "$all threads", 'speed-up';
for my $workload (
    qw(softmax log_softmax layernorm batchnorm sort argsort topk dot:1024 dot:2048 dot:1024:tn dot:1024:nt dot:1024:tt dot:skinny
    conv:3x3:forward conv:3x3:train conv:small:forward conv:small:train conv:1x1:forward conv:1x1:train conv:7x7:forward conv:7x7:train conv:depthwise:forward
    conv:depthwise:train pool:max:forward pool:max:train pool:avg:forward
    pool:avg:train lstm lenet resnet:1)
    )
{
    my %times;
    for (1 .. $rounds) {
        for my $threads (1, $all) {
            my ($time) = ask($worker{$threads}, $workload, 0.05);
            push @{ $times{$threads} }, $time;
        }
    }
    my ($one, $many) = map { median(@{ $times{$_} }) } 1, $all;
    next if $one eq '-';
    printf "%-26s %12.2f %12.2f %9.2f\n", $workload, 1e3 * $one, 1e3 * $many, $one / $many;
}
