#!/usr/bin/env perl
# Times Keshi from Perl beside PDL, in turn in one run, and prints the ratio of the medians: below 1, Keshi is faster.
# usage: perl -Iperl/blib/lib -Iperl/blib/arch benches/perl/bench.pl [rounds]
use strict;
use warnings;
use Time::HiRes qw(time);
use PDL;
use AI::MXNet qw(mx);

my $rounds = shift // 7;
printf "%-44s %12s %12s %8s   %s\n", 'workload', 'Keshi', 'PDL', 'ratio', 'what PDL does';

sub middle_of
{
    my @sorted = sort { $a <=> $b } @_;
    return $sorted[@sorted / 2];
}

sub human
{
    my $seconds = shift;
    return sprintf '%.3f us', $seconds * 1e6 if $seconds < 1e-3;
    return sprintf '%.3f ms', $seconds * 1e3;
}

# Runs both in turn; each call of the sub does $count units of work. A call that is not timed comes before each that is: while
# the other side ran on one core, the second slept, and a core takes milliseconds to come back to its speed.
sub compare
{
    my ($what, $count, $ours, $peer, $peer_does) = @_;
    my (@ours, @peer);
    for (1 .. $rounds) {
        for ([$ours, \@ours], [$peer, \@peer]) {
            my ($run, $times) = @$_;
            $run->();
            my $start = time;
            $run->();
            push @$times, time - $start;
        }
    }
    my ($x, $y) = map { middle_of(@$_) / $count } \@ours, \@peer;
    printf "%-44s %12s %12s %8.3f   %s\n", $what, human($x), human($y), $x / $y, $peer_does;
    return;
}

{
    my ($x, $y) = (nd->array([[1, 2], [3, 4]]), nd->array([[5, 6], [7, 8]]));
    my ($p, $q) = (pdl(float, [[1, 2], [3, 4]]), pdl(float, [[5, 6], [7, 8]]));
    compare(
        '$a + $b, 2x2', 20_000,
        sub { my $z; $z = $x + $y for 1 .. 20_000 },
        sub { my $z; $z = $p + $q for 1 .. 20_000 },
        'the same'
    );
    compare(
        '$a * 1.5, 2x2',
        20_000,
        sub { my $z; $z = $x * 1.5 for 1 .. 20_000 },
        sub { my $z; $z = $p * 1.5 for 1 .. 20_000 },
        'the same'
    );
    $x->attach_grad;
    compare(
        '1000 recorded $y * 1.0001, there and back',
        1,
        sub {
            my $z;
            mx->autograd->record(sub { $z = $x; $z = $z * 1.0001 for 1 .. 1000 });
            $z->backward;
        },
        sub { my $z = $p; $z = $z * 1.0001 for 1 .. 1000 },
        'forward only'
    );
}

{
    my $list = [
        map {
            my $row = $_;
            [map { $row + $_ / 1000 } 1 .. 1000]
        } 1 .. 1000
    ];
    compare('array from a nested list, 1000x1000', 1, sub { nd->array($list) }, sub { pdl(float, $list) },
        'pdl($list)');
    my $x = nd->array($list);
    my $p = pdl(float, $list);
    compare('aspdl, 1000x1000', 1, sub { $x->aspdl }, sub { $p->copy }, 'copy');
}

{
    my $n = 10_000_000;
    my ($x, $y) = (nd->random->uniform(-3, 3, [$n]), nd->random->uniform(-3, 3, [$n]));
    my ($p, $q) = map { $_->aspdl } $x, $y;
    compare('add, 1e7 float32', 1, sub { my $z = $x + $y }, sub { my $z = $p + $q }, 'the same');
    compare('copy, 1e7 float32', 1, sub { my $z = $x->copy }, sub { my $z = $p->copy }, 'the same');
    for my $f (qw(exp tanh erf)) {
        compare("$f, 1e7 float32", 1, sub { my $z = $x->$f }, sub { my $z = $p->$f }, 'the same');
    }
    compare('sum, 1e7 float32', 1, sub { $x->sum->asscalar }, sub { $p->sum }, 'the same');

    # What moves the most bytes in a second is the limit: a copy reads and writes, as all but the sum do.
    my %bytes = (copy => 8, add => 12, exp => 8, tanh => 8, erf => 8, sum => 4);
    my %run = (
        add => sub { my $z = $x + $y },
        sum => sub { $x->sum->asscalar },
        map {
            my $f = $_;
            $f => sub { my $z = $x->$f }
        } qw(copy exp tanh erf)
    );
    my %times;
    for (1 .. 5 * $rounds) {
        for my $f (keys %run) {
            my $start = time;
            $run{$f}->();
            push @{ $times{$f} }, time - $start;
        }
    }
    my %speed = map { $_ => $bytes{$_} * $n / middle_of(@{ $times{$_} }) } keys %run;
    printf "1e7 float32, in turn, of the speed of a copy (%.0f GB/s): %s\n", $speed{copy} / 1e9, join ', ',
        map { sprintf '%s %.0f %%', $_, 100 * $speed{$_} / $speed{copy} } qw(add exp tanh erf sum);
}

{
    my $run = sub {
        my @code = @_;
        return sub {
            system($^X, (map { "-I$_" } @INC), @code) == 0 or die "cannot run $^X @code";
        };
    };
    compare('start and load', 1, $run->('-MAI::MXNet=mx', '-e', '1'), $run->('-MPDL', '-e', '1'), 'use PDL');
}

if (open my $status, '<', '/proc/self/status') {
    my $code = 'open my $f, "<", "/proc/self/status"; print grep /VmRSS/, <$f>';
    print "after `use AI::MXNet qw(mx)`: ", qx($^X @{[map {"-I$_"} @INC]} -MAI::MXNet=mx -e '$code') =~ s/\s+/ /gr,
        "\n";
}
