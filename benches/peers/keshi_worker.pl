#!/usr/bin/env perl
# Keshi's side of the benchmarks, from Perl. The protocol is that of peer.py.
use strict;
use warnings;
use Time::HiRes qw(time);
use AI::MXNet qw(mx);
use AI::MXNet::Contrib::ONNX;

mx->random->seed(1);
sub rand_of { return nd->random->uniform(-1, 1, [@_]) }

my %elementwise = (
    add => sub { $_[0] + $_[1] },
    multiply => sub { $_[0] * $_[1] },
    relu => sub { nd->relu($_[0]) },
    exp => sub { nd->exp($_[0]) },
    tanh => sub { nd->tanh($_[0]) },
    erf => sub { nd->erf($_[0]) },
    sigmoid => sub { nd->sigmoid($_[0]) },
    gelu => sub { nd->LeakyReLU($_[0], act_type => 'gelu') },
    fma => sub { nd->relu($_[0] * $_[1] + $_[0]) },
);
my %convolution = (
    '3x3' => [[8, 64, 56, 56], [64, 64, 3, 3], kernel => [3, 3], pad => [1, 1], num_filter => 64],
    small => [[128, 64, 16, 16], [64, 64, 3, 3], kernel => [3, 3], pad => [1, 1], num_filter => 64],
    '1x1' => [[8, 256, 56, 56], [64, 256, 1, 1], kernel => [1, 1], num_filter => 64],
    '7x7' => [[8, 3, 224, 224], [64, 3, 7, 7], kernel => [7, 7], stride => [2, 2], pad => [3, 3], num_filter => 64],
    depthwise =>
        [[8, 128, 56, 56], [128, 1, 3, 3], kernel => [3, 3], pad => [1, 1], num_filter => 128, num_group => 128],
);

# Forward and backward, from a gradient of ones.
sub trained
{
    my ($f, @inputs) = @_;
    $_->attach_grad for @inputs;
    return sub {
        my $y;
        mx->autograd->record(sub { $y = $f->(@inputs) });
        $y->backward;
        return $y;
    };
}

sub reduction
{
    my $x = rand_of(4096, 4096);
    return {
        sum => sub { $x->sum->asscalar },
        sum_0 => sub { $x->sum(axis => 0) },
        sum_1 => sub { $x->sum(axis => 1) },
        max => sub { $x->max->asscalar },
        max_1 => sub { $x->max(axis => 1) },
        argmax => sub { $x->argmax(axis => 1) },
        moments => sub { nd->moments($x, axes => [1]) },
    }->{ $_[0] };
}

sub product
{
    my ($size, $flags) = (@_, '');
    my ($m, $k, $n) = $size eq 'skinny' ? (64, 4096, 1000) : ($size) x 3;
    my ($ta, $tb) = map { $_ eq 't' ? 1 : 0 } split //, $flags || 'nn';
    my $x = $ta ? rand_of($k, $m) : rand_of($m, $k);
    my $y = $tb ? rand_of($n, $k) : rand_of($k, $n);
    return sub { nd->dot($x, $y, transpose_a => $ta, transpose_b => $tb) };
}

sub batch_product
{
    my ($ta, $tb) = map { $_ eq 't' ? 1 : 0 } split //, $_[0] // 'nn';
    my $x = $ta ? rand_of(64, 64, 128) : rand_of(64, 128, 64);
    my $y = $tb ? rand_of(64, 128, 64) : rand_of(64, 64, 128);
    return sub { nd->batch_dot($x, $y, transpose_a => $ta, transpose_b => $tb) };
}

sub convolved
{
    my ($kind, $train) = @_;
    my ($xs, $ws, %how) = @{ $convolution{$kind} };
    my ($x, $w) = (rand_of(@$xs), rand_of(@$ws));
    my $f = sub { nd->Convolution(@_, no_bias => 1, %how) };
    return $train eq 'train' ? trained($f, $x, $w) : sub { $f->($x, $w) };
}

sub pooled
{
    my ($kind, $train) = @_;
    my $x = rand_of(8, 64, 112, 112);
    my %how =
        $kind eq 'max' ? (kernel => [3, 3], stride => [2, 2], pad => [1, 1]) : (kernel => [2, 2], stride => [2, 2]);
    my $f = sub { nd->Pooling($_[0], pool_type => $kind, %how) };
    return $train eq 'train' ? trained($f, $x) : sub { $f->($x) };
}

sub lstm
{
    my $net = mx->gluon->rnn->LSTM(256, 2);
    $net->initialize;
    my $x = rand_of(35, 32, 256);
    return sub {
        my $y;
        mx->autograd->record(sub { $y = $net->($x) });
        $y->backward;
    };
}

sub trainer_of
{
    my ($net, $hybrid) = @_;
    $net->initialize(mx->init->Xavier);
    $net->hybridize(1, static_alloc => 1, static_shape => 1) if $hybrid;
    my $loss_of = mx->gluon->loss->SoftmaxCrossEntropyLoss;
    my $trainer = mx->gluon->Trainer($net->collect_params, 'sgd', { learning_rate => 0.01 });
    return sub {
        my ($x, $y) = @_;
        my $loss;
        mx->autograd->record(sub { $loss = $loss_of->($net->($x), $y) });
        $loss->backward;
        $trainer->step($x->shape->[0]);
    };
}

sub step
{
    my ($net, $shape, $hybrid) = @_;
    my $train = trainer_of($net, $hybrid);
    my $x = rand_of(@$shape);
    my $y = nd->floor(nd->random->uniform(0, 10, [$shape->[0]]));
    return sub { $train->($x, $y) };
}

sub epoch
{
    my $folder = $ENV{MNIST} // 'data/mnist';
    return if not -e "$folder/t10k-images-idx3-ubyte";
    my $data = mx->gluon->data->vision->MNIST(root => $folder, train => 0);
    my $scaled = $data->transform_first(sub { $_[0]->astype('float32') / 255 });
    my $batches = mx->gluon->data->DataLoader($scaled, batch_size => 100);
    my $train = trainer_of(mlp());
    return sub {
        while (defined(my $batch = <$batches>)) { $train->(@$batch) }
    };
}

sub sequential
{
    my @layers = @_;
    my $net = mx->gluon->nn->HybridSequential;
    $net->name_scope(sub { $net->add($_) for @layers });
    return $net;
}

sub mlp
{
    my $nn = mx->gluon->nn;
    return sequential($nn->Dense(128, activation => 'relu'), $nn->Dense(64, activation => 'relu'), $nn->Dense(10));
}

sub lenet
{
    my $nn = mx->gluon->nn;
    return sequential(
        $nn->Conv2D(20, [5, 5], activation => 'relu'),
        $nn->MaxPool2D([2, 2], [2, 2]),
        $nn->Conv2D(50, [5, 5], activation => 'relu'),
        $nn->MaxPool2D([2, 2], [2, 2]),
        $nn->Dense(500, activation => 'relu'),
        $nn->Dense(10)
    );
}

# A network on what shape, batch by batch; hybridized it is written for ONNX Runtime too, where somebody says into which folder.
sub inference
{
    my ($name, $net, $shape, $hybrid) = @_;
    $net->initialize(mx->init->Xavier);
    my $x = rand_of(@$shape);
    $net->($x);
    $_->set_data(nd->zeros($_->shape)) for grep { $_->name =~ /running_mean$/ } $net->collect_params->values;
    return sub { $net->($x) }
        if not $hybrid;
    $net->hybridize(1, static_alloc => 1, static_shape => 1);

    if (defined $ENV{KESHI_ONNX}) {
        my %params = map { $_->name => $_->data } $net->collect_params->values;
        my $file = "$ENV{KESHI_ONNX}/$name.onnx";
        AI::MXNet::Contrib::ONNX->export_model($net->(mx->sym->var('data')), \%params, [$shape], 'float32', $file);
    }
    return sub { $net->($x) };
}

sub pictures
{
    my ($name, $net, $batch, $hybrid) = @_;
    return inference("$name:$batch", mx->gluon->model_zoo->vision->$net, [$batch, 3, 224, 224], $hybrid);
}

package Fused {
    use AI::MXNet::Gluon::Mouse;
    extends 'AI::MXNet::Gluon::HybridBlock';
    sub hybrid_forward { my ($self, $F, $x, $y) = @_; return $F->relu($x * $y + $x) }
}

sub chain
{
    my $x = nd->ones([2, 2]);
    $x->attach_grad;
    return sub {
        my $y = $x;
        mx->autograd->record(sub { $y = $y * 1.0001 for 1 .. 1000 });
        $y->backward;
    };
}

my %make = (
    add2 => sub {
        my $x = rand_of(2, 2);
        sub { $x + $x }
    },
    scale2 => sub {
        my $x = rand_of(2, 2);
        sub { $x * 1.5 }
    },
    relu2 => sub {
        my $x = rand_of(2, 2);
        sub { nd->relu($x) }
    },
    sum2 => sub {
        my $x = rand_of(2, 2);
        sub { $x->sum(axis => 1) }
    },
    item => sub {
        my $x = rand_of(1);
        sub { $x->asscalar }
    },
    chain => \&chain,
    reduce => \&reduction,
    broadcast => sub {
        my ($x, $y) = (rand_of(4096, 1000), rand_of(1, 1000));
        sub { nd->broadcast_add($x, $y) }
    },
    take => sub {
        my ($x, $i) = (rand_of(50000, 256), nd->floor(nd->random->uniform(0, 50000, [64, 128])));
        sub { nd->take($x, $i) };
    },
    concat => sub {
        my $x = rand_of(4096, 4096);
        sub { nd->concat($x, $x, dim => 1) }
    },
    slice => sub {
        my $x = rand_of(4096, 4096);
        sub { nd->slice_axis($x, axis => 1, begin => 100, end => 4000) }
    },
    transpose => sub {
        my $x = rand_of(4096, 4096);
        sub { $x->transpose }
    },
    softmax => sub {
        my $x = rand_of(4096, 1000);
        sub { nd->softmax($x) }
    },
    log_softmax => sub {
        my $x = rand_of(4096, 1000);
        sub { nd->log_softmax($x) }
    },
    layernorm => sub {
        my ($x, $g, $b) = (rand_of(4096, 768), rand_of(768), rand_of(768));
        sub { nd->LayerNorm($x, $g, $b) }
    },
    batchnorm => sub {
        my ($mean, $var) = (nd->zeros([64]), nd->ones([64]));
        trained(
            sub { nd->BatchNorm(@_, $mean, $var, fix_gamma => 0) },
            rand_of(8, 64, 56, 56),
            rand_of(64), rand_of(64)
        );
    },
    sort => sub {
        my $x = rand_of(1_000_000);
        sub { nd->sort($x) }
    },
    argsort => sub {
        my $x = rand_of(1_000_000);
        sub { nd->argsort($x) }
    },
    topk => sub {
        my $x = rand_of(4096, 1000);
        sub { nd->topk($x, k => 5, ret_typ => 'both') }
    },
    dot => \&product,
    batch_dot => \&batch_product,
    conv => \&convolved,
    pool => \&pooled,
    lstm => \&lstm,
    mlp => sub { step(mlp(), [100, 784], @_) },
    lenet => sub { step(lenet(), [256, 1, 28, 28], @_) },
    epoch => \&epoch,
    resnet => sub { pictures(resnet => 'resnet50_v1', @_) },
    mobilenet => sub { pictures(mobilenet => 'mobilenet_v2_1_0', @_) },
    recurrent => sub {
        my ($batch, $hybrid) = @_;
        return inference("recurrent:$batch", mx->gluon->rnn->LSTM(256, 2), [35, $batch, 256], $hybrid);
    },
);

sub make
{
    my ($what, @rest) = split /:/, shift;
    if (my $f = $elementwise{$what}) {
        my ($x, $y) = map { rand_of($rest[0]) } 1 .. 2;
        if ($rest[1]) {
            my $net = Fused->new;
            $net->hybridize(1, static_alloc => 1, static_shape => 1);
            return sub { $net->($x, $y) };
        }
        return sub { $f->($x, $y) };
    }
    return $make{$what} && $make{$what}->(@rest);
}

sub status
{
    my $field = shift;
    open my $in, '<', '/proc/self/status' or return 0;
    my ($line) = grep { /^$field/ } <$in>;
    return $line =~ /(\d+)/ ? $1 : 0;
}

sub timed
{
    my ($call, $seconds) = @_;
    $call->();
    my $count = 1;
    while (1) {
        my $start = time;
        $call->() for 1 .. $count;
        my $spent = time - $start;
        return $spent / $count if $spent >= $seconds / 2;
        my $guess = int $count * $seconds / ($spent > 1e-6 ? $spent : 1e-6) * 0.8;
        $count = $guess > 2 * $count ? $guess : 2 * $count;
    }
}

$| = 1;
print "ready\n";
my ($name, $call, $base) = ('');
while (my $line = <STDIN>) {
    my ($wanted, $seconds, $peak) = split ' ', $line;
    if ($peak) {
        $call = make($wanted);
        $call->() for 1 .. $seconds;
        AI::MXNet::NDArray->waitall;
        print "$wanted ", status('VmHWM'), "\n";
        next;
    }
    if ($wanted ne $name) {
        undef $call;
        AI::MXNet::NDArray->waitall;
        if (open my $reset, '>', '/proc/self/clear_refs') { print {$reset} 5; close $reset }
        $base = status('VmRSS');
        ($name, $call) = ($wanted, make($wanted));
    }
    print $call ? join(' ', $name, timed($call, $seconds), status('VmHWM') - $base) : "$name -", "\n";
}
