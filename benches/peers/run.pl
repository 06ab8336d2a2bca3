#!/usr/bin/env perl
# Times Keshi beside its peers, in turn in one run, workload by workload, and prints the ratios of the medians.
# usage: run.pl [--rounds N] [--seconds S] [--python PYTHON] [--rust WORKER] [--only REGEX] [--report FILE]
use strict;
use warnings;
use FindBin;
use Getopt::Long;
use IPC::Open2;
use Time::HiRes qw(sleep);

my ($rounds, $seconds, $python, $only, $report, $rust) = (5, 0.1, 'python3', '.', undef, undef);
GetOptions(
    'rounds=i' => \$rounds,
    'seconds=f' => \$seconds,
    'python=s' => \$python,
    'only=s' => \$only,
    'report=s' => \$report,
    'rust=s' => \$rust
) or die "see the head of $0\n";

my $root = "$FindBin::Bin/../..";
my @workers = (
    [keshi => $^X, "-I$root/perl/blib/lib", "-I$root/perl/blib/arch", "$FindBin::Bin/keshi_worker.pl"],
    [mxnet => $python, "$FindBin::Bin/mxnet_worker.py"],
    [torch => $python, "$FindBin::Bin/torch_worker.py"],
    ($rust ? [rust => $rust] : ()),
);

# name, what it is, the goals (our time by MXNet's and by PyTorch's), and what the machine limits it by: bytes that are copied or read
# (in 1e9), or operations (in 1e9)
my $large = 4096 * 4096 * 4 / 1e9;
my @elementwise = map {
    my $n = $_;
    my ($mxnet, $torch) = $n eq '1e7' ? (0.2, 0.3) : (0.3, 0.7);
    map {
        ["$_:$n", "$_, $n float32", $mxnet, $torch, $n eq '1e7' ? (copy => (/^(?:add|multiply)$/ ? 0.12 : 0.08)) : ()]
    } qw(add multiply relu exp tanh erf sigmoid gelu);
} qw(1e3 1e5 1e7);

sub product_of { my ($m, $n, $k) = @_; return (fma => 2 * $m * $n * $k / 1e9) }
my %convolution = (
    '3x3' => ['Convolution 3x3 c64 56x56', 8 * 64 * 64 * 9 * 56 * 56],
    '1x1' => ['Convolution 1x1 256 to 64 56x56', 8 * 256 * 64 * 56 * 56],
    '7x7' => ['Convolution 7x7/2 3 to 64 224x224', 8 * 3 * 64 * 49 * 112 * 112],
    depthwise => ['Convolution depthwise 3x3 c128 56x56', 8 * 128 * 9 * 56 * 56],
);
my @workloads = (
    ['add2', 'a + b, 2x2', 0.03, 0.4],
    ['scale2', 'a * 1.5, 2x2', 0.03, 0.4],
    ['relu2', 'relu, 2x2', 0.03, 0.4],
    ['sum2', 'sum(axis 1), 2x2', 0.03, 0.4],
    ['item', 'asscalar', 0.03, 0.4],
    ['chain', '1000 recorded a * 1.0001, 2x2, forward and backward', 0.04, 0.16],
    @elementwise,
    ['fma:1e5', 'relu(a*b + a), 1e5', 0.15, 0.3],
    ['fma:1e7', 'relu(a*b + a), 1e7', 0.15, 0.3, copy => 0.12],
    ['fma:1e5:hybrid', 'relu(a*b + a), 1e5, hybridized', 0.15, 0.3],
    ['fma:1e7:hybrid', 'relu(a*b + a), 1e7, hybridized', 0.15, 0.3, copy => 0.12],
    ['reduce:sum', 'sum, 4096x4096', 0.1, 0.9, read => $large],
    ['reduce:sum_0', 'sum(axis 0), 4096x4096', 0.1, 0.9, read => $large],
    ['reduce:sum_1', 'sum(axis 1), 4096x4096', 0.1, 0.9, read => $large],
    ['reduce:max', 'max, 4096x4096', 0.1, 0.9, read => $large],
    ['reduce:max_1', 'max(axis 1), 4096x4096', 0.1, 0.9, read => $large],
    ['reduce:argmax', 'argmax(axis 1), 4096x4096', 0.1, 0.9, read => $large],
    ['reduce:moments', 'mean and variance(axis 1), 4096x4096', 0.1, 0.9, read => $large],
    ['broadcast', '(4096x1000) + (1000)', 0.5, 0.8],
    ['take', 'take 64x128 of 50000x256', 0.5, 0.8],
    ['concat', 'concat of two 4096x4096', 0.5, 0.8, copy => 4 * $large],
    ['slice', 'slice of 3900 columns of 4096x4096', 0.5, 0.8, copy => 2 * $large * 3900 / 4096],
    ['transpose', 'transpose 4096x4096', 0.2, 0.2, copy => 2 * $large],
    ['softmax', 'softmax 4096x1000', 0.2, 0.8],
    ['log_softmax', 'log_softmax 4096x1000', 0.2, 0.8],
    ['layernorm', 'LayerNorm 4096x768', 0.2, 0.8],
    ['batchnorm', 'BatchNorm 8x64x56x56, forward and backward', 0.2, 0.8],
    ['sort', 'sort 1e6', 0.4, 0.5],
    ['argsort', 'argsort 1e6', 0.4, 0.5],
    ['topk', 'topk 4096x1000 k=5', 0.4, 0.5],
    (map { ["dot:$_", "dot $_", 0.8, 0.8, product_of($_, $_, $_)] } 64, 256, 1024, 2048),
    (map { ["dot:1024:$_", "dot 1024, $_", 0.8, 0.8, product_of(1024, 1024, 1024)] } qw(tn nt tt)),
    ['dot:skinny', 'dot 64x4096 by 4096x1000', 0.8, 0.8, product_of(64, 4096, 1000)],
    ['dot:skinny:nt', 'dot 64x4096 by (1000x4096) transposed', 0.8, 0.8, product_of(64, 4096, 1000)],
    (
        map { ["batch_dot:$_", "batch_dot 64 of 128x64 by 64x128, $_", 0.8, 0.8, product_of(64 * 128, 128, 64)] }
            qw(nn tn nt tt)
    ),
    (
        map {
            my ($what, $terms) = @{ $convolution{$_} };
            (
                ["conv:$_:forward", "$what, forward", 0.85, 0.9, fma => 2 * $terms / 1e9],
                ["conv:$_:train", "$what, forward and backward", 0.85, 0.85, fma => 6 * $terms / 1e9]
            )
        } qw(3x3 1x1 7x7 depthwise)
    ),
    (
        map {
            (
                ["pool:$_:forward", "Pooling $_, forward", 0.9, 0.15],
                ["pool:$_:train", "Pooling $_, forward and backward", 0.9, 0.15]
            )
        } qw(max avg)
    ),
    [
        'lstm',
        'LSTM 2 layers of 256, 35 steps, batch 32, forward and backward',
        0.5,
        0.7,
        fma => 6 * 2 * 35 * 32 * 1024 * 512 / 1e9
    ],
    ['mlp', 'training step, MLP 784-128-64-10, batch 100', 0.25, 0.6],
    ['lenet', 'training step, LeNet, batch 256', 0.25, 0.6, fma => 3.4],
    ['mlp:hybrid', 'the MLP step, hybridized', 0.25, 0.6],
    ['lenet:hybrid', 'the LeNet step, hybridized', 0.25, 0.6, fma => 3.4],
    ['resnet:1', 'ResNet-50 inference, batch 1, hybridized', 0.8, 0.8, fma => 8.2],
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

sub median
{
    my @sorted = sort { $a <=> $b } @_;
    return $sorted[@sorted / 2];
}

sub human
{
    my $time = shift;
    return $time < 1e-3 ? sprintf '%.2f us', $time * 1e6 : sprintf '%.2f ms', $time * 1e3;
}

my %names = (keshi => 'Keshi', rust => 'from Rust', mxnet => 'MXNet', torch => 'PyTorch');
my @shown = ('keshi', ($rust ? 'rust' : ()), 'mxnet', 'torch');
my %limit = $rust ? map { $_ => 1 / (ask('rust', "limit:$_"))[0] } qw(copy read fma) : ();
my $limits =
    $rust
    ? sprintf 'copy %.0f GB/s, read %.0f GB/s, fused multiply-add %.0f GFLOP/s', @limit{qw(copy read fma)}
    : '';
print "limits: $limits\n" if $rust;

my (%logs, @rows);
my @head =
    ('workload', map({ $names{$_} } @shown), 'of MXNet', 'of PyTorch', $rust ? 'of the limit' : (), 'memory, MB');
printf "%-64s " . '%10s ' x (@shown) . "%9s %11s " . ($rust ? '%13s ' : '') . "%s\n", @head;
for my $workload (grep { $_->[0] =~ $only } @workloads) {
    my ($name, $what, $of_mxnet, $of_torch, $by, $amount) = @$workload;
    my %goal = (mxnet => $of_mxnet, torch => $of_torch);
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
    my @row = ($what, map { defined $middle{$_} ? human($middle{$_}) : '' } @shown);
    for my $peer (qw(mxnet torch)) {
        my $ratio = $middle{$peer} && $middle{keshi} / $middle{$peer};
        push @{ $logs{$peer} }, log $ratio if $ratio;
        push @row, $ratio ? sprintf '%.3f%s', $ratio, $ratio > $goal{$peer} ? " (not $goal{$peer})" : '' : '';
    }
    push @row, $by ? sprintf '%.0f %% (%s)', 100 * $amount / $limit{$by} / $middle{keshi}, $by : '' if $rust;
    push @row, join ' ', map { defined $memory{$_} ? sprintf '%.0f', $memory{$_} / 1024 : '-' } qw(keshi mxnet torch);
    printf "%-64s " . '%10s ' x (@shown) . "%9s %11s " . ($rust ? '%13s ' : '') . "%s\n", @row;
    push @rows, \@row;
}
my @means;
for my $peer (grep { $logs{$_} } qw(mxnet torch)) {
    my $sum = 0;
    $sum += $_ for @{ $logs{$peer} };
    push @means, sprintf '%.3f of %s (%d workloads)', exp($sum / @{ $logs{$peer} }), $names{$peer},
        scalar @{ $logs{$peer} };
}
print 'geometric mean: ', join(', ', @means), "\n";

# The table takes the place of the one between the two marks.
if ($report) {
    my $versions =
qx($python -c "import mxnet, torch, numpy; print('MXNet', mxnet.__version__, 'PyTorch', torch.__version__, 'numpy', numpy.__version__)");
    open my $cpu, '<', '/proc/cpuinfo' or die "cpuinfo: $!\n";
    my ($model) = map { /^model name\s*:\s*(.*)/ ? $1 : () } <$cpu>;
    my @now = localtime;
    my $table = sprintf "%04d-%02d-%02d, %s, %s threads; perl %vd, %s. Limits: %s. Medians of %d rounds.\n\n",
        $now[5] + 1900, $now[4] + 1, $now[3], $model, $ENV{KESHI_NUM_THREADS}, $^V, $versions =~ s/\s+$//r, $limits,
        $rounds;
    $table .= join '', map { '| ' . join(' | ', @$_) . " |\n" } \@head, [map { '---' } @head], @rows;
    $table .= "\nGeometric mean: " . join(', ', @means) . ".\n";
    open my $in, '<', $report or die "$report: $!\n";
    my $text = do { local $/ = undef; <$in> };
    close $in;
    $text =~ s/(<!-- measured -->\n).*(<!-- end -->)/$1\n$table\n$2/s or die "$report has no marks for the table\n";
    open my $out, '>', $report or die "$report: $!\n";
    print {$out} $text;
    close $out or die "$report: $!\n";
}
