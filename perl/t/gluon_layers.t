use strict;
use warnings;
use Test::More;
use lib 't/lib';
use Near;
use AI::MXNet qw(mx);
use AI::MXNet::Gluon qw(gluon);

needs_operators(qw(FullyConnected Convolution Pooling BatchNorm LayerNorm _contrib_CTCLoss));

# -- layers: what they compute, their shapes found from the input, their texts

sub filled
{
    my ($layer, $value) = @_;
    $layer->initialize(mx->init->Constant($value // 1));
    return $layer;
}

my $x = nd->arange(stop => 24)->reshape([2, 3, 4]);
is_array(filled(nn->Dense(2))->($x), [2, 2], [66, 66, 210, 210], 'Dense flattens');
is_array(filled(nn->Dense(1, flatten => 0))->($x), [2, 3, 1], [6, 22, 38, 54, 70, 86], 'or takes the last axis');
is_array(
    filled(nn->Dense(1, flatten => 0, use_bias => 0))->($x),
    [2, 3, 1],
    [6, 22, 38, 54, 70, 86],
    'without a bias too'
);

{
    my $in = nd->arange(stop => 18)->reshape([1, 2, 3, 3]);
    my $conv = filled(nn->Conv2D(2, 2, groups => 2, padding => 1, strides => [1, 2], activation => 'relu'));
    my $y = $conv->($in);
    is_deeply($y->shape, [1, 2, 4, 2], 'Conv2D with groups, padding and strides');
    is_deeply($conv->weight->shape, [2, 1, 2, 2], 'the shape of its weight');
    is_close($y->sum, [2 * 153], 'every element is seen in two windows');
    is("$conv", 'Conv2D(2, kernel_size=(2,2), stride=(1,2), padding=(1,1), groups=2)', 'its text');
    my $up = filled(nn->Conv2DTranspose(3, 2, strides => 2, in_channels => 2));
    is_deeply($up->($in)->shape, [1, 3, 6, 6], 'Conv2DTranspose');
    is_deeply($up->weight->shape, [2, 3, 2, 2], 'its weight has the input first');
    is_deeply(filled(nn->Conv1D(4, 3))->(nd->ones([2, 5, 9]))->shape, [2, 4, 7], 'Conv1D');
    is_deeply(filled(nn->Conv3D(4, 2))->(nd->ones([1, 1, 3, 3, 3]))->shape, [1, 4, 2, 2, 2], 'Conv3D');
    is_array(nn->MaxPool2D(2, 1)->($in), [1, 2, 2, 2], [4, 5, 7, 8, 13, 14, 16, 17], 'MaxPool2D');
    is_array(
        nn->AvgPool2D(2, 2, ceil_mode => 1)->($in),
        [1, 2, 2, 2],
        [2, 3.5, 6.5, 8, 11, 12.5, 15.5, 17],
        'AvgPool2D that goes over the edge'
    );
    is_array(nn->GlobalAvgPool2D->($in), [1, 2, 1, 1], [4, 13], 'GlobalAvgPool2D');
    is(nn->MaxPool1D(3, 2) . '', 'MaxPool1D(size=(3), stride=(2), padding=(0), ceil_mode=0)', 'text of a pool');
    dies_with(sub { nn->MaxPool2D(layout => 'NHWC') }, qr/Only supports NCHW layout/, 'another layout');
    dies_with(sub { nn->Conv3D(1, [2, 2]) }, qr/kernel_size must be a number or an array ref of 3 ints/,
        'two of three');
    is_array(
        nn->ReflectionPad2D(1)->(nd->arange(stop => 4)->reshape([1, 1, 2, 2])),
        [1, 1, 4, 4],
        [(3, 2, 3, 2, 1, 0, 1, 0) x 2],
        'ReflectionPad2D'
    );
}
{
    my $norm = nn->BatchNorm(momentum => 0.5);
    $norm->initialize;
    my $in = nd->array([[1, 10], [3, 30], [5, 20], [7, 40]]);
    my $y;
    autograd->record(sub { $y = $norm->($in) });
    $y->backward;
    is_close($y->mean({ axis => 0 }), [0, 0], 'BatchNorm: mean 0', 1e-5);
    is_close($norm->running_mean->data, [2.5, 13], 'the running mean follows');
    is_deeply([map { $_->grad_req } $norm->collect_params->values], [qw(write write null null)], 'what is trained');
    is("$norm", 'BatchNorm(axis=1, eps=1e-05, momentum=0.5, fix_gamma=0, in_channels=2)', 'its text');
    my $layer = nn->LayerNorm(scale => 1);
    $layer->initialize;
    is_close($layer->(nd->array([[1, 2, 3]])), [-1.224735, 0, 1.224735], 'LayerNorm', 1e-5);
    my $instance = nn->InstanceNorm(axis => 2);
    $instance->initialize;
    is_deeply($instance->($x)->shape, [2, 3, 4], 'InstanceNorm along another axis');
    is_deeply($instance->gamma->shape, [4], 'has as many scales as that axis');
}
{
    my $in = nd->array([-2, -0.5, 0.25, 1.25]);
    my %want = (
        'LeakyReLU' => [nn->LeakyReLU(0.25), [-0.5, -0.125, 0.25, 1.25]],
        'PReLU' => [filled(nn->PReLU), [-0.5, -0.125, 0.25, 1.25]],
        'ELU' => [nn->ELU, [exp(-2) - 1, exp(-0.5) - 1, 0.25, 1.25]],
        'SELU' => [
            nn->SELU,
            [map { 1.0507009873554805 * ($_ > 0 ? $_ : 1.6732632423543772 * (exp($_) - 1)) } -2, -0.5, 0.25, 1.25]
        ],
        'Swish' => [nn->Swish(2), [map { $_ / (1 + exp(-2 * $_)) } -2, -0.5, 0.25, 1.25]],
        'Activation' => [nn->Activation('softsign'), [map { $_ / (1 + abs $_) } -2, -0.5, 0.25, 1.25]],
        'Identity' => [nn->Identity, [-2, -0.5, 0.25, 1.25]],
        'HybridLambda' => [nn->HybridLambda(sub { my ($F, $a) = @_; $F->square($a) }), [4, 0.25, 0.0625, 1.5625]],
        'Lambda' => [nn->Lambda('relu'), [0, 0, 0.25, 1.25]],
    );
    is_close($want{$_}[0]->($in), $want{$_}[1], $_, 1e-5) for sort keys %want;
    my $low = nd->array([-0.1, -3, -1e-4]);
    is_deeply(
        [nn->ELU->($low)->aspdl->list],
        [(nd->exp($low) - 1)->aspdl->list],
        'ELU equals its formula to the last bit'
    );
    my $far = nd->array([200, -200]);
    $far->attach_grad;
    autograd->record(sub { nn->ELU->($far)->backward });
    is_close($far->grad, [1, 0], 'and its gradient does not overflow');
    is_close(filled(nn->PReLU, 0.1)->alpha->data, [0.25], 'the slope has its own initializer');
    my $both = nn->HybridConcurrent(axis => 1);
    $both->add(nn->Identity, nn->HybridLambda('square'));
    is_array($both->(nd->array([[1, 2]])), [1, 4], [1, 2, 1, 4], 'HybridConcurrent');
    my $embedding = nn->Embedding(4, 2);
    $embedding->initialize;
    $embedding->weight->set_data(nd->arange(stop => 8)->reshape([4, 2]));
    is_array($embedding->(nd->array([[1, 3]])), [1, 2, 2], [2, 3, 6, 7], 'Embedding');
    my $ones = nd->ones([200]);
    is_close(nn->Dropout(0.5)->($ones), $ones, 'Dropout outside training');
    my $dropped;
    autograd->record(sub { $dropped = nn->Dropout(0.5)->($ones) });
    is_deeply([sort keys %{ { map { $_ => 1 } $dropped->aspdl->list } }], [0, 2], 'and inside');
}

# -- losses

sub loss { my ($name, @args) = @_; return gluon->loss->$name(@args) }
{
    my $p = nd->array([[1, 2, 5], [0, -1, 3]]);
    my $l = nd->array([[0, 2, 2], [1, 1, 3]]);
    is_close(loss('L1Loss')->($p, $l), [4 / 3, 1], 'L1Loss');
    is_close(loss('L2Loss', weight => 0.5)->($p, $l), [10 / 12, 5 / 12], 'L2Loss with a weight');
    is_close(loss('L2Loss', batch_axis => 1)->($p, $l), [0.5, 1, 2.25], 'along another batch axis');
    is_close(loss('HuberLoss', rho => 2)->($p, $l), [0.75, 5 / 12], 'HuberLoss');
    is_close(loss('L1Loss')->($p, $l, nd->array([[1], [0.5]])), [4 / 3, 0.5], 'weights of samples');
    my $scores = nd->array([[1, 2, 3], [1, 0, -1]]);
    my @want = (log(1 + exp(-1) + exp(-2)), 1 + log(1 + exp(-1) + exp(-2)));
    is_close(loss('SoftmaxCELoss')->($scores, nd->array([2, 1])), \@want, 'SoftmaxCELoss', 1e-5);
    is_close(
        loss('SoftmaxCELoss', sparse_label => 0)->($scores, nd->array([[0, 0, 1], [0, 1, 0]])),
        [map { $_ / 1 } @want],
        'with dense labels', 1e-5
    );
    is_close(
        loss('KLDivLoss')->(nd->array([[0.25, 0.75]])->log, nd->array([[0.5, 0.5]])),
        [(0.5 * log(2) + 0.5 * log(2 / 3)) / 2],
        'KLDivLoss', 1e-5
    );
    is_close(loss('HingeLoss')->(nd->array([[0.5, -2]]), nd->array([[1, -1]])), [0.25], 'HingeLoss');
    is_close(
        loss('LogisticLoss', label_format => 'binary')->(nd->array([[2]]), nd->array([[0]])),
        [2 + log(1 + exp(-2))],
        'LogisticLoss', 1e-5
    );
    is_close(
        loss('SigmoidBCELoss', from_sigmoid => 1)->(nd->array([[0.25]]), nd->array([[1]])),
        [-log 0.25],
        'SigmoidBCELoss', 1e-5
    );
    is_close(loss('PoissonNLLLoss', weight => 2)->(nd->array([0]), nd->array([3])),
        [2], 'PoissonNLLLoss has its weight for logits too');
    my ($u, $v) = (nd->array([[1, 0], [1, 1], [2, 1]]), nd->array([[1, 0], [1, 0], [-1, 2]]));
    is_array(
        loss('CosineEmbeddingLoss')->($u, $v, nd->array([1, -1, 1])),
        [3, 1], [0, sqrt 0.5, 1],
        'CosineEmbeddingLoss'
    );
    is_close(loss('TripletLoss')->(map { nd->array($_) } [[1, 2], [3, 4]], [[1, 1], [0, 4]], [[2, 0], [3, 3]]),
        [0, 9], 'TripletLoss');
    is(loss('HuberLoss') . '', 'HuberLoss(batch_axis=0, w=)', 'text of a loss');
    dies_with(sub { gluon->loss->LogisticLoss(label_format => 'odd') }, qr/can only be signed or binary/, 'a format');
    dies_with(sub { gluon->loss->CTCLoss(layout => 'NCT') }, qr/Only 'NTC' and 'TNC' layouts/, 'a layout');
}

# Hybrid layers say the same of symbols as of arrays; the graphs compute the same.
{
    my $in = nd->array([[1, -2, 3, 0.5], [0.25, 1, -1, 2]]);
    my $net = nn->HybridSequential;
    $net->add(nn->Dense(5, activation => 'tanh'),
        nn->BatchNorm, nn->LeakyReLU(0.1), nn->Swish, nn->PReLU, nn->LayerNorm, nn->ELU, nn->Dense(2, use_bias => 0));
    $net->initialize(mx->init->Uniform(0.5));
    my $label = nd->array([1, 0]);
    my $loss = loss('SoftmaxCELoss');
    my $run = sub {
        my $l;
        autograd->record(sub { $l = $loss->($net->($in), $label) });
        $l->backward;
        return ($l, $net->[0]->weight->grad->copy);
    };
    my ($value, $slope) = $run->();
    $_->hybridize for $net, $loss;
    my ($fast, $fast_slope) = $run->();
    is_close($fast, $value, 'a hybridized network gives the same', 1e-5);
    is_close($fast_slope, $slope, 'and the same gradients', 1e-5);
    $net->add(nn->Dense(1));
    $net->[-1]->initialize;
    is_deeply($net->($in)->shape, [2, 1], 'a child that is added later counts');
    $net->hybridize(0);
    is_deeply($net->($in)->shape, [2, 1], 'and back');
}

done_testing;
