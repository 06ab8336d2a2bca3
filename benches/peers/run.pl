#!/usr/bin/env perl
# Times Keshi beside its peers, in turn in one run, workload by workload, and prints the ratios of the medians.
# usage: run.pl [--rounds N] [--seconds S] [--python PYTHON] [--only REGEX] [--report FILE]
use strict;
use warnings;
use FindBin;
use Getopt::Long;
use IPC::Open2;
use Time::HiRes qw(sleep);

my ($rounds, $seconds, $python, $only, $report) = (5, 0.1, 'python3', '.', undef);
GetOptions(
    'rounds=i' => \$rounds, 'seconds=f' => \$seconds, 'python=s' => \$python, 'only=s' => \$only, 'report=s' => \$report
) or die "see the head of $0\n";

my $root = "$FindBin::Bin/../..";
my @workers = (
    [keshi => $^X,     "-I$root/perl/blib/lib", "-I$root/perl/blib/arch", "$FindBin::Bin/keshi_worker.pl"],
    [mxnet => $python, "$FindBin::Bin/mxnet_worker.py"],
    [torch => $python, "$FindBin::Bin/torch_worker.py"],
);

# name, what it is, the goals (ours by MXNet's and by PyTorch's time)
my @elementwise = map {
    my $n = $_;
    my ($mxnet, $torch) = $n eq '1e7' ? (0.2, 0.3) : (0.3, 0.7);
    map { ["$_:$n", "$_, $n float32", $mxnet, $torch] } qw(add multiply relu exp tanh erf sigmoid gelu);
} qw(1e3 1e5 1e7);
my @workloads = (
    ['add2',   'a + b, 2x2',       0.03, 0.4],
    ['scale2', 'a * 1.5, 2x2',     0.03, 0.4],
    ['relu2',  'relu, 2x2',        0.03, 0.4],
    ['sum2',   'sum(axis 1), 2x2', 0.03, 0.4],
    ['item',   'asscalar',         0.03, 0.4],
    ['chain',  '1000 recorded a * 1.0001, 2x2, forward and backward', 0.04, 0.16],
    @elementwise,
    ['fma:1e5',        'relu(a*b + a), 1e5',             0.15, 0.3],
    ['fma:1e7',        'relu(a*b + a), 1e7',             0.15, 0.3],
    ['fma:1e5:hybrid', 'relu(a*b + a), 1e5, hybridized', 0.15, 0.3],
    ['fma:1e7:hybrid', 'relu(a*b + a), 1e7, hybridized', 0.15, 0.3],
    ['reduce:sum',     'sum, 4096x4096',          0.1, 0.9],
    ['reduce:sum_0',   'sum(axis 0), 4096x4096',  0.1, 0.9],
    ['reduce:sum_1',   'sum(axis 1), 4096x4096',  0.1, 0.9],
    ['reduce:max',     'max, 4096x4096',          0.1, 0.9],
    ['reduce:max_1',   'max(axis 1), 4096x4096',  0.1, 0.9],
    ['reduce:argmax',  'argmax(axis 1), 4096x4096', 0.1, 0.9],
    ['reduce:moments', 'mean and variance(axis 1), 4096x4096', 0.1, 0.9],
    ['broadcast',      '(4096x1000) + (1000)',      0.5, 0.8],
    ['take',           'take 64x128 of 50000x256',  0.5, 0.8],
    ['concat',         'concat of two 4096x4096',   0.5, 0.8],
    ['slice',          'slice of 3900 columns of 4096x4096', 0.5, 0.8],
    ['transpose',      'transpose 4096x4096',       0.2, 0.2],
    ['softmax',        'softmax 4096x1000',         0.2, 0.8],
    ['log_softmax',    'log_softmax 4096x1000',     0.2, 0.8],
    ['layernorm',      'LayerNorm 4096x768',        0.2, 0.8],
    ['batchnorm',      'BatchNorm 8x64x56x56, forward and backward', 0.2, 0.8],
    ['sort',    'sort 1e6',           0.4, 0.5],
    ['argsort', 'argsort 1e6',        0.4, 0.5],
    ['topk',    'topk 4096x1000 k=5', 0.4, 0.5],
    (map { ["dot:$_", "dot $_", 0.8, 0.8] } 64, 256, 1024, 2048),
    (map { ["dot:1024:$_", "dot 1024, $_", 0.8, 0.8] } qw(tn nt tt)),
    ['dot:skinny', 'dot 64x4096 by 4096x1000', 0.8, 0.8],
    ['dot:skinny:nt', 'dot 64x4096 by (1000x4096) transposed', 0.8, 0.8],
    (map { ["batch_dot:$_", "batch_dot 64 of 128x64 by 64x128, $_", 0.8, 0.8] } qw(nn tn nt tt)),
    (
        map {
            (["conv:$_->[0]:forward", "$_->[1], forward", 0.85, 0.9],
                ["conv:$_->[0]:train", "$_->[1], forward and backward", 0.85, 0.85])
        } ['3x3', 'Convolution 3x3 c64 56x56'],
        ['1x1',       'Convolution 1x1 256 to 64 56x56'],
        ['7x7',       'Convolution 7x7/2 3 to 64 224x224'],
        ['depthwise', 'Convolution depthwise 3x3 c128 56x56']
    ),
    (
        map {
            (["pool:$_:forward", "Pooling $_, forward", 0.9, 0.15],
                ["pool:$_:train", "Pooling $_, forward and backward", 0.9, 0.15])
        } qw(max avg)
    ),
    ['lstm',  'LSTM 2 layers of 256, 35 steps, batch 32, forward and backward', 0.5, 0.7],
    ['mlp',   'training step, MLP 784-128-64-10, batch 100', 0.25, 0.6],
    ['lenet', 'training step, LeNet, batch 256',              0.25, 0.6],
    ['mlp:hybrid',   'the MLP step, hybridized', 0.25, 0.6],
    ['lenet:hybrid', 'the LeNet step, hybridized',              0.25, 0.6],
    ['resnet:1', 'ResNet-50 inference, batch 1', 0.8, 0.8],
);

$ENV{KESHI_NUM_THREADS} //= 2;
delete @ENV{qw(OPENBLAS_CORETYPE OPENBLAS_L2_SIZE)};
my %pipe;
for my $worker (@workers) {
    my ($name, @command) = @$worker;
    my $process = open2(my $out, my $in, @command);
    defined readline $out or die "$name: the worker does not start\n";
    $pipe{$name} = [$in, $out];
}

sub ask
{
    my ($name, $workload) = @_;
    my ($in, $out) = @{ $pipe{$name} };
    print {$in} "$workload $seconds\n";
    $in->flush;
    my $answer = readline $out // die "$name: died at $workload\n";
    my (undef, $time, $memory) = split ' ', $answer;
    return $time eq '-' ? () : ($time, $memory);
}

sub median { my @sorted = sort { $a <=> $b } @_; return $sorted[@sorted / 2] }

sub human
{
    my $time = shift;
    return $time < 1e-3 ? sprintf '%.2f us', $time * 1e6 : sprintf '%.2f ms', $time * 1e3;
}

printf "%-58s %10s %10s %10s %8s %8s   %s\n", 'workload', 'Keshi', 'MXNet', 'PyTorch', '/MXNet', '/PyTorch', 'memory MB';
my (%logs, $lines);
for my $workload (grep { $_->[0] =~ $only } @workloads) {
    my ($name, $what, %goal) = ($workload->[0], $workload->[1], mxnet => $workload->[2], torch => $workload->[3]);
    my (%time, %memory);
    for (1 .. $rounds) {
        for my $worker (map { $_->[0] } @workers) {
            my ($time, $memory) = ask($worker, $name) or next;
            push @{ $time{$worker} }, $time;
            $memory{$worker} = $memory if $memory > ($memory{$worker} // -1);
            sleep 0.02;
        }
    }
    my %middle = map { $_ => median(@{ $time{$_} }) } keys %time;
    my $line   = sprintf '%-58s', $what;
    $line .= sprintf ' %10s', defined $middle{$_} ? human($middle{$_}) : '-' for qw(keshi mxnet torch);
    for my $peer (qw(mxnet torch)) {
        my $ratio = defined $middle{$peer} && defined $middle{keshi} ? $middle{keshi} / $middle{$peer} : undef;
        push @{ $logs{$peer} }, log $ratio if defined $ratio;
        $line .= defined $ratio ? sprintf ' %7.3f%s', $ratio, $ratio > $goal{$peer} ? '!' : ' ' : '        - ';
    }
    $line .= '  ' . join ' ', map { defined $memory{$_} ? sprintf '%.0f', $memory{$_} / 1024 : '-' } qw(keshi mxnet torch);
    print "$line\n";
    $lines .= "$line\n";
}
for my $peer (qw(mxnet torch)) {
    next unless $logs{$peer};
    my $sum = 0;
    $sum += $_ for @{ $logs{$peer} };
    printf "geometric mean of the ratios to %s: %.3f of %d\n", $peer, exp($sum / @{ $logs{$peer} }), scalar @{ $logs{$peer} };
}
