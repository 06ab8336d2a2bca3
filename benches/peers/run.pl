#!/usr/bin/env perl
# Times Keshi beside its peers, in turn in one run, workload by workload, and prints the ratios of the medians.
# usage: run.pl [--rounds N] [--seconds S] [--python PYTHON] [--rust WORKER] [--only REGEX] [--report FILE]
#        [--table measured|networks|peaks]... (all three if none is named)
use strict;
use warnings;
use FindBin;
use File::Temp qw(tempdir);
use Getopt::Long;
use Time::HiRes qw(sleep);
use lib $FindBin::Bin;
use Workers qw(median);

my ($rounds, $seconds, $python, $only, $report, $rust, @tables) = (5, 0.1, 'python3', '.', undef, undef);
GetOptions(
    'rounds=i' => \$rounds,
    'seconds=f' => \$seconds,
    'python=s' => \$python,
    'only=s' => \$only,
    'report=s' => \$report,
    'rust=s' => \$rust,
    'table=s' => \@tables
) or die "see the head of $0\n";
my %wanted = map { $_ => 1 } @tables ? @tables : qw(measured networks peaks);

my $root = "$FindBin::Bin/../..";
my @torch = ($python, "$FindBin::Bin/torch_worker.py");
my %command = (
    keshi => \@Workers::KESHI,
    plain => \@Workers::KESHI,
    mxnet => [$python, "$FindBin::Bin/mxnet_worker.py"],
    torch => \@torch,
    compiled => \@torch,
    onnx => [$python, "$FindBin::Bin/onnx_worker.py"],
    rust => [$rust // ()],
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
    small => ['Convolution 3x3 c64 16x16, batch 128', 128 * 64 * 64 * 9 * 16 * 16],
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
        } qw(3x3 small 1x1 7x7 depthwise)
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
    ['epoch', 'an epoch over 10,000 MNIST digits with the MLP, loading included', 0.4, 1],
    ['resnet:1:hybrid', 'ResNet-50 inference, batch 1, hybridized', 0.8, 0.8, fma => 8.2],
);

# The same for networks that are compiled: goals by call by call, and by PyTorch's eager calls.
my @networks = (
    ['mlp', 'training step, MLP, batch 100', 0.7, undef],
    ['lenet', 'training step, LeNet, batch 256', 0.7, undef],
    ['fma:1e7', 'relu(a*b + a), 1e7', undef, undef, copy => 0.12],
    map {
        (
            ["resnet:$_", "ResNet-50 inference, batch $_", undef, 1, fma => 8.2 * $_],
            ["mobilenet:$_", "MobileNet-v2 inference, batch $_", undef, 1, fma => 0.6 * $_],
            ["recurrent:$_", "LSTM 2 layers of 256, 35 steps, inference, batch $_", undef, 1, fma => 0.0734 * $_]
        )
    } 1,
    8
);

$ENV{KESHI_NUM_THREADS} //= 2;
delete @ENV{qw(OPENBLAS_CORETYPE OPENBLAS_L2_SIZE)};
$ENV{MNIST} //= "$root/data/mnist";
$ENV{KESHI_ONNX} = tempdir(CLEANUP => 1);
if (not -e "$ENV{MNIST}/t10k-images-idx3-ubyte") {
    print "left out: the epoch over MNIST's digits, which `make data` fetches\n";
    @workloads = grep { $_->[0] ne 'epoch' } @workloads;
}

# A worker is started when it is first asked; one that cannot start, or dies, leaves its column empty from there on.
my %started;

sub ask
{
    my ($worker, $workload) = @_;
    if (not exists $started{$worker}) {
        $started{$worker} = Workers::start(@{ $command{$worker} });
        warn "$worker: the worker does not start\n" if not $started{$worker};
    }
    return if not $started{$worker};
    my ($time, $memory) = Workers::ask($started{$worker}, $workload, $seconds);
    if (not defined $time) {
        warn "$worker: died at $workload\n";
        $started{$worker} = undef;
        return;
    }
    return $time eq '-' ? () : ($time, $memory);
}

sub human
{
    my $time = shift;
    return $time < 1e-3 ? sprintf '%.2f us', $time * 1e6 : sprintf '%.2f ms', $time * 1e3;
}

my %limit =
    $rust && ($wanted{measured} || $wanted{networks})
    ? map { $_ => 1 / (ask('rust', "limit:$_"))[0] } qw(copy read fma)
    : ();
my $limits =
    %limit
    ? sprintf 'copy %.0f GB/s, read %.0f GB/s, fused multiply-add %.0f GFLOP/s', @limit{qw(copy read fma)}
    : '';
print "limits: $limits\n" if %limit;

# Measures the workloads and returns the table for the report. Columns are worker, heading, and what is added to a workload's name;
# the first is ours, and the ratios are of it to those that follow with a third heading, in the order of a workload's goals.
sub table
{
    my ($columns, @list) = @_;
    my ($ours, @peers) = map { $_->[0] } $columns->[0], grep { $_->[3] } @$columns;
    my %heading = map { $_->[0] => $_->[3] } @$columns;
    my @head = (
        'workload',
        map({ $_->[1] } @$columns),
        map({ $heading{$_} } @peers),
        $rust ? 'of the limit' : (),
        'memory, MB'
    );
    my $format = '%-64s ' . '%12s ' x (@head - 2) . "%s\n";
    printf $format, @head;
    my (%logs, @rows);
    for my $workload (grep { $_->[0] =~ $only } @list) {
        my ($name, $what, @rest) = @$workload;
        my @goals = splice @rest, 0, 2;
        my ($by, $amount) = @rest;
        my (%time, %memory);
        for (1 .. $rounds) {
            for my $column (@$columns) {
                my ($worker, undef, $more) = @$column;
                my ($time, $memory) = ask($worker, $name . $more) or next;
                push @{ $time{$worker} }, $time;
                $memory{$worker} = $memory if $memory > ($memory{$worker} // -1);
                sleep 0.02;
            }
        }
        my %middle = map { $_ => median(@{ $time{$_} }) } keys %time;
        my @row = ($what, map { defined $middle{ $_->[0] } ? human($middle{ $_->[0] }) : '' } @$columns);
        for my $i (0 .. $#peers) {
            my $ratio = $middle{ $peers[$i] } && $middle{$ours} / $middle{ $peers[$i] };
            push @{ $logs{ $peers[$i] } }, log $ratio if $ratio;
            my $missed = $ratio && defined $goals[$i] && $ratio > $goals[$i];
            push @row, $ratio ? sprintf '%.3f%s', $ratio, $missed ? " (not $goals[$i])" : '' : '';
        }
        push @row, $by ? sprintf '%.0f %% (%s)', 100 * $amount / $limit{$by} / $middle{$ours}, $by : '' if $rust;
        push @row, join ' ', map { defined $memory{$_} ? sprintf '%.0f', $memory{$_} / 1024 : '-' }
            grep { $_ ne 'rust' } map { $_->[0] } @$columns;
        printf $format, @row;
        push @rows, \@row;
    }
    my @means;
    for my $peer (grep { $logs{$_} } @peers) {
        my $sum = 0;
        $sum += $_ for @{ $logs{$peer} };
        push @means, sprintf '%.3f %s (%d workloads)', exp($sum / @{ $logs{$peer} }), $heading{$peer},
            scalar @{ $logs{$peer} };
    }
    my $mean = 'Geometric mean: ' . join(', ', @means) . ".\n";
    print "$mean\n";
    return join('', map { '| ' . join(' | ', @$_) . " |\n" } \@head, [map { '---' } @head], @rows) . "\n$mean";
}

# What whole processes take: libraries, network and steps; in brackets what that is more than the same process with one small sum.
sub peaks
{
    my @columns = ([keshi => 'Keshi'], [mxnet => 'MXNet'], [torch => 'PyTorch']);
    my @rows;
    my %least;
    for my $row (
        ['add2', 'the library loaded, and a + b, 2x2', 1],
        ['mlp', '20 training steps, MLP 784-128-64-10, batch 100', 20],
        ['mlp:hybrid', 'the same, hybridized', 20],
        ['lenet', '20 training steps, LeNet, batch 256', 20],
        ['lenet:hybrid', 'the same, hybridized', 20],
        )
    {
        my ($workload, $what, $calls) = @$row;
        my @cells;
        for my $worker (map { $_->[0] } @columns) {
            my @rounds = $workload =~ /:/ && $worker eq 'torch' ? () : 1 .. $rounds;
            my @peaks = grep { $_ } map { Workers::peak($command{$worker}, $workload, $calls) } @rounds;
            my $peak = @peaks ? median(@peaks) / 1024 : undef;
            $least{$worker} //= $peak;
            push @cells,
                  !defined $peak ? ''
                : $calls == 1 ? sprintf '%.0f', $peak
                : sprintf '%.0f (%.0f)', $peak, $peak - $least{$worker};
        }
        printf "%-64s %12s %12s %12s\n", $what, @cells;
        push @rows, [$what, @cells];
    }
    return join '', map { '| ' . join(' | ', @$_) . " |\n" } ['peak, MB', map { $_->[1] } @columns],
        [map { '---' } 0 .. @columns], @rows;
}

my %table = (
    measured => sub {
        return table(
            [
                [keshi => 'Keshi', ''],
                $rust ? [rust => 'from Rust', ''] : (),
                [mxnet => 'MXNet', '', 'of MXNet'],
                [torch => 'PyTorch', '', 'of PyTorch']
            ],
            @workloads
        );
    },
    networks => sub {
        return table(
            [
                [keshi => 'hybridized', ':hybrid'],
                [plain => 'call by call', '', 'of call by call'],
                [torch => 'PyTorch', '', 'of PyTorch'],
                [compiled => 'torch.compile', ':compiled', 'of torch.compile'],
                [onnx => 'ONNX Runtime', '', 'of ONNX Runtime']
            ],
            @networks
        );
    },
    peaks => \&peaks
);
my %made = map { $wanted{$_} ? ($_ => $table{$_}->()) : () } qw(measured networks peaks);

# A table takes the place of the one between its two marks.
if ($report) {
    my $versions = join ' ', map {
        my $version = qx($python -c "import $_->[1]; print($_->[1].__version__)" 2>/dev/null) =~ s/\s+$//r;
        length $version ? "$_->[0] $version" : ()
    } [MXNet => 'mxnet'], [PyTorch => 'torch'], [numpy => 'numpy'], ['ONNX Runtime' => 'onnxruntime'];
    open my $cpu, '<', '/proc/cpuinfo' or die "cpuinfo: $!\n";
    my ($model) = map { /^model name\s*:\s*(.*)/ ? $1 : () } <$cpu>;
    my @now = localtime;
    my $about = sprintf "%04d-%02d-%02d, %s, %s threads; perl %vd, %s.%s Medians of %d rounds.\n\n",
        $now[5] + 1900, $now[4] + 1, $now[3], $model, $ENV{KESHI_NUM_THREADS}, $^V, $versions,
        length $limits ? " Limits: $limits." : '', $rounds;
    open my $in, '<', $report or die "$report: $!\n";
    my $text = do { local $/ = undef; <$in> };
    close $in;

    my %end = (measured => 'end', networks => 'end of networks', peaks => 'end of peaks');
    for my $begin (sort keys %made) {
        $text =~ s/(<!-- $begin -->\n).*(<!-- $end{$begin} -->)/$1\n$about$made{$begin}\n$2/s
            or die "$report has no marks for the table of $begin\n";
    }
    open my $out, '>', $report or die "$report: $!\n";
    print {$out} $text;
    close $out or die "$report: $!\n";
}
