#!/usr/bin/env perl
# What a second thread (or as many as the machine has) saves: Keshi's workloads over a millisecond that memory does not bound, with one
# thread and with all, in turn in one run; prints the medians and the speed-ups.
# usage: threads.pl [rounds]
use strict;
use warnings;
use FindBin;
use IPC::Open2;

my $rounds = shift // 5;
my $root = "$FindBin::Bin/../..";
chomp(my $all = `nproc`);
my %pipe;
for my $threads (1, $all) {
    local $ENV{KESHI_NUM_THREADS} = $threads;
    my $process =
        open2(my $out, my $in, $^X, "-I$root/perl/blib/lib", "-I$root/perl/blib/arch", "$FindBin::Bin/keshi_worker.pl");
    defined readline $out or die "the worker does not start\n";
    $pipe{$threads} = [$in, $out];
}

printf "%-26s %12s %12s %9s\n", 'workload', '1 thread, ms', "$all threads", 'speed-up';
for my $workload (
    qw(softmax log_softmax layernorm batchnorm sort argsort topk dot:1024 dot:2048 dot:1024:tn dot:1024:nt dot:1024:tt dot:skinny
    conv:3x3:forward conv:3x3:train conv:1x1:forward conv:1x1:train conv:7x7:forward conv:7x7:train conv:depthwise:forward
    conv:depthwise:train pool:max:forward pool:max:train pool:avg:forward
    pool:avg:train lstm lenet resnet:1)
    )
{
    my %times;
    for (1 .. $rounds) {
        for my $threads (1, $all) {
            my ($in, $out) = @{ $pipe{$threads} };
            print {$in} "$workload 0.05\n";
            $in->flush;
            my (undef, $time) = split ' ', readline $out;
            push @{ $times{$threads} }, $time;
        }
    }
    my ($one, $many) = map {
        my @sorted = sort { $a <=> $b } @{ $times{$_} };
        $sorted[@sorted / 2]
    } 1, $all;
    next if $one eq '-';
    printf "%-26s %12.2f %12.2f %9.2f\n", $workload, 1e3 * $one, 1e3 * $many, $one / $many;
}
