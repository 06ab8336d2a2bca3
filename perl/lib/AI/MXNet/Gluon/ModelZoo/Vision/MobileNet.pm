package AI::MXNet::Gluon::ModelZoo::Vision::MobileNet;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Gluon::NN qw(nn);
use AI::MXNet::Gluon::ModelZoo::Vision::Classifier;
use AI::MXNet::Gluon::Mouse;
extends 'AI::MXNet::Gluon::ModelZoo::Vision::Classifier';

# Howard and others: MobileNets, 2017; Sandler and others: MobileNetV2: inverted residuals and linear bottlenecks, 2018.

has multiplier => (is => 'ro', isa => 'Num', default => 1);

# Convolution, normalisation, and perhaps a nonlinearity.
sub add_conv
{
    my ($to, $channels, %arg) = @_;
    my ($kernel, $stride, $pad, $groups) = map { $_->[0] // $_->[1] } [$arg{kernel}, 1], [$arg{stride}, 1],
        [$arg{pad}, 0], [$arg{groups}, 1];
    $to->add(nn->Conv2D($channels, $kernel, $stride, $pad, groups => $groups, use_bias => 0), nn->BatchNorm);
    my $active = $arg{active} // 'relu';
    $to->add($active eq 'relu6' ? AI::MXNet::Gluon::ModelZoo::Vision::RELU6->new : nn->Activation($active)) if $active;
    return;
}

sub make_features
{
    my ($self, $features) = @_;
    my ($first, @in) = map { int($_ * $self->multiplier) } 32, 32, 64, (128) x 2, (256) x 2, (512) x 6, 1024;
    my @out = (@in[1 .. $#in], $in[-1]);
    my @strides = ((1, 2) x 3, (1) x 5, 2, 1);
    add_conv($features, $first, kernel => 3, pad => 1, stride => 2);
    for my $i (0 .. $#in) {
        add_conv($features, $in[$i], kernel => 3, pad => 1, stride => $strides[$i], groups => $in[$i]);
        add_conv($features, $out[$i]);
    }
    $features->add(nn->GlobalAvgPool2D, nn->Flatten);
    return;
}

no AI::MXNet::Gluon::Mouse;

# Between 0 and 6.
package AI::MXNet::Gluon::ModelZoo::Vision::RELU6;    ## no critic (ProhibitMultiplePackages)
use AI::MXNet::Gluon::Mouse;
extends 'AI::MXNet::Gluon::HybridBlock';

sub hybrid_forward
{
    my ($self, $F, $x) = @_;
    return $F->clip($x, a_min => 0, a_max => 6, name => 'relu6');
}

no AI::MXNet::Gluon::Mouse;

# Wide inside, narrow and linear outside.
package AI::MXNet::Gluon::ModelZoo::Vision::LinearBottleneck;    ## no critic (ProhibitMultiplePackages)
use AI::MXNet::Gluon::NN qw(nn);
use AI::MXNet::Gluon::Mouse;
extends 'AI::MXNet::Gluon::HybridBlock';

has [qw(in_channels channels t stride)] => (is => 'ro', isa => 'Int', required => 1);
has out => (is => 'rw', init_arg => undef);

sub BUILD
{
    my $self = shift;
    my $add_conv = \&AI::MXNet::Gluon::ModelZoo::Vision::MobileNet::add_conv;
    my $wide = $self->in_channels * $self->t;
    $self->name_scope(
        sub {
            my $out = nn->HybridSequential;
            $add_conv->($out, $wide, active => 'relu6');
            $add_conv->(
                $out, $wide,
                kernel => 3,
                stride => $self->stride,
                pad => 1,
                groups => $wide,
                active => 'relu6'
            );
            $add_conv->($out, $self->channels, active => '');
            $self->out($out);
        }
    );
    return;
}

sub hybrid_forward
{
    my ($self, $F, $x) = @_;
    my $y = $self->{out}->call($x);
    return $self->{stride} == 1 && $self->{in_channels} == $self->{channels} ? $F->elemwise_add($y, $x) : $y;
}

no AI::MXNet::Gluon::Mouse;

package AI::MXNet::Gluon::ModelZoo::Vision::MobileNetV2;    ## no critic (ProhibitMultiplePackages)
use AI::MXNet::Gluon::NN qw(nn);
use AI::MXNet::Gluon::Mouse;
extends 'AI::MXNet::Gluon::ModelZoo::Vision::Classifier';

has multiplier => (is => 'ro', isa => 'Num', default => 1);

sub empty_features { return nn->HybridSequential(prefix => 'features_') }

sub make_features
{
    my ($self, $features) = @_;
    my $add_conv = \&AI::MXNet::Gluon::ModelZoo::Vision::MobileNet::add_conv;
    my $multiplier = $self->multiplier;
    my @channels = map { int($_ * $multiplier) } 32, 16, (24) x 2, (32) x 3, (64) x 4, (96) x 3, (160) x 3, 320;
    my @t = (1, (6) x 16);
    my @strides = ((1, 2) x 2, 1, 1, 2, (1) x 6, 2, (1) x 3);
    $add_conv->($features, $channels[0], kernel => 3, stride => 2, pad => 1, active => 'relu6');
    for my $i (0 .. $#t) {
        $features->add(
            AI::MXNet::Gluon::ModelZoo::Vision::LinearBottleneck->new(
                in_channels => $channels[$i],
                channels => $channels[$i + 1],
                t => $t[$i],
                stride => $strides[$i]
            )
        );
    }
    $add_conv->($features, $multiplier > 1 ? int(1280 * $multiplier) : 1280, active => 'relu6');
    $features->add(nn->GlobalAvgPool2D);
    return;
}

sub make_output
{
    my $self = shift;
    my $output = nn->HybridSequential(prefix => 'output_');
    $output->name_scope(
        sub { $output->add(nn->Conv2D($self->classes, 1, use_bias => 0, prefix => 'pred_'), nn->Flatten) });
    return $output;
}

no AI::MXNet::Gluon::Mouse;

1;
