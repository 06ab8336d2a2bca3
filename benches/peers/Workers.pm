package Workers;
use strict;
use warnings;
use Exporter qw(import);
use FindBin;
use IPC::Open2;

# Starts workers and asks them for times: the protocol is written down in peer.py.

our @EXPORT_OK = qw(start ask peak median);

my $root = "$FindBin::Bin/../..";
our @KESHI = ($^X, "-I$root/perl/blib/lib", "-I$root/perl/blib/arch", "$FindBin::Bin/keshi_worker.pl");

# Nothing if it does not come up.
sub start
{
    my @command = @_;
    my $process = open2(my $out, my $in, @command);
    return defined readline $out ? [$in, $out] : undef;
}

# The seconds of one call ('-' where the library has no such thing) and the kB of memory; nothing if the worker died.
sub ask
{
    my ($worker, $workload, $seconds) = @_;
    my ($in, $out) = @$worker;
    print {$in} "$workload $seconds\n";
    $in->flush;
    my (undef, @answer) = split ' ', readline($out) // '';
    return @answer;
}

# The kB that a process of its own takes at most, from its start to the end of so many calls; nothing if it does not come up.
sub peak
{
    my ($command, $workload, $calls) = @_;
    my $worker = start(@$command) or return;
    my ($peak) = ask($worker, $workload, "$calls peak");
    close $_ for @$worker;
    wait;
    return $peak;
}

sub median
{
    my @sorted = sort { $a <=> $b } @_;
    return $sorted[@sorted / 2];
}

1;
