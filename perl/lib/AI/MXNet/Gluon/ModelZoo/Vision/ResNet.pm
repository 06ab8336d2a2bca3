package AI::MXNet::Gluon::ModelZoo::Vision::ResNet;
use 5.014;
use strict;
use warnings;

# He, Zhang, Ren, Sun: Deep residual learning for image recognition, 2015 (V1), and Identity mappings in deep residual
# networks, 2016 (V2). The blocks of V1 compute, normalise and add; those of V2 normalise before they compute.

package AI::MXNet::Gluon::ModelZoo::Vision::ResNet::Block;    ## no critic (ProhibitMultiplePackages)
use AI::MXNet::Gluon::NN qw(nn);
use AI::MXNet::Gluon::Mouse;
extends 'AI::MXNet::Gluon::HybridBlock';

has channels => (is => 'ro', isa => 'Int', required => 1);
has stride => (is => 'ro', isa => 'Int', default => 1);
has in_channels => (is => 'ro', isa => 'Int', default => 0);
has _shortcut => (is => 'ro', isa => 'Bool', init_arg => 'downsample', default => 0);
has downsample => (is => 'rw', init_arg => undef);

sub conv3x3
{
    my ($channels, $stride, $in) = @_;
    return nn->Conv2D($channels, 3, $stride, 1, use_bias => 0, in_channels => $in);
}

# The input, brought to the size of the output.
sub conv1x1
{
    my $self = shift;
    return nn->Conv2D($self->channels, 1, $self->stride, use_bias => 0, in_channels => $self->in_channels);
}

package AI::MXNet::Gluon::ModelZoo::Vision::ResNet::BlockV1;    ## no critic (ProhibitMultiplePackages)
use AI::MXNet::Gluon::NN qw(nn);
use AI::MXNet::Gluon::Mouse;
extends 'AI::MXNet::Gluon::ModelZoo::Vision::ResNet::Block';

has body => (is => 'rw', init_arg => undef);

sub BUILD
{
    my $self = shift;
    my $body = nn->HybridSequential(prefix => '');
    my @convs = $self->convs;
    while (my $conv = shift @convs) {
        $body->add($conv, nn->BatchNorm);
        $body->add(nn->Activation('relu')) if @convs;
    }
    $self->body($body);
    if ($self->_shortcut) {
        my $downsample = nn->HybridSequential(prefix => '');
        $downsample->add($self->conv1x1, nn->BatchNorm);
        $self->downsample($downsample);
    }
    return;
}

sub hybrid_forward
{
    my ($self, $F, $x) = @_;
    my $shortcut = $self->{downsample} ? $self->{downsample}->call($x) : $x;
    return $F->Activation($shortcut + $self->{body}->call($x), act_type => 'relu');
}

package AI::MXNet::Gluon::ModelZoo::Vision::ResNet::BasicBlockV1;    ## no critic (ProhibitMultiplePackages)
use AI::MXNet::Gluon::Mouse;
extends 'AI::MXNet::Gluon::ModelZoo::Vision::ResNet::BlockV1';

sub convs
{
    my $self = shift;
    my $conv = \&AI::MXNet::Gluon::ModelZoo::Vision::ResNet::Block::conv3x3;
    my $channels = $self->channels;
    return ($conv->($channels, $self->stride, $self->in_channels), $conv->($channels, 1, $channels));
}

package AI::MXNet::Gluon::ModelZoo::Vision::ResNet::BottleneckV1;    ## no critic (ProhibitMultiplePackages)
use AI::MXNet::Gluon::NN qw(nn);
use AI::MXNet::Gluon::Mouse;
extends 'AI::MXNet::Gluon::ModelZoo::Vision::ResNet::BlockV1';

# The narrow convolutions have a bias, as those of the published files have.
sub convs
{
    my $self = shift;
    my $narrow = int($self->channels / 4);
    return (
        nn->Conv2D($narrow, 1, $self->stride),
        AI::MXNet::Gluon::ModelZoo::Vision::ResNet::Block::conv3x3($narrow, 1, $narrow),
        nn->Conv2D($self->channels, 1, 1)
    );
}

package AI::MXNet::Gluon::ModelZoo::Vision::ResNet::BlockV2;    ## no critic (ProhibitMultiplePackages)
use AI::MXNet::Gluon::NN qw(nn);
use AI::MXNet::Gluon::Mouse;
extends 'AI::MXNet::Gluon::ModelZoo::Vision::ResNet::Block';

has [qw(bn1 conv1 bn2 conv2 bn3 conv3)] => (is => 'rw', init_arg => undef);

sub BUILD
{
    my $self = shift;
    my $i = 0;
    for my $make ($self->convs) {
        $i++;
        my ($bn, $conv) = ("bn$i", "conv$i");
        $self->$bn(nn->BatchNorm);
        $self->$conv($make->());
    }
    $self->{_convs} = $i;
    $self->downsample($self->conv1x1) if $self->_shortcut;
    return;
}

sub hybrid_forward
{
    my ($self, $F, $x) = @_;
    my $shortcut = $x;
    for my $i (1 .. $self->{_convs}) {
        $x = $F->Activation($self->{"bn$i"}->call($x), act_type => 'relu');
        $shortcut = $self->{downsample}->call($x) if $i == 1 and $self->{downsample};
        $x = $self->{"conv$i"}->call($x);
    }
    return $x + $shortcut;
}

package AI::MXNet::Gluon::ModelZoo::Vision::ResNet::BasicBlockV2;    ## no critic (ProhibitMultiplePackages)
use AI::MXNet::Gluon::Mouse;
extends 'AI::MXNet::Gluon::ModelZoo::Vision::ResNet::BlockV2';

sub convs
{
    my $self = shift;
    my $conv = \&AI::MXNet::Gluon::ModelZoo::Vision::ResNet::Block::conv3x3;
    my $channels = $self->channels;
    return (sub { $conv->($channels, $self->stride, $self->in_channels) }, sub { $conv->($channels, 1, $channels) });
}

package AI::MXNet::Gluon::ModelZoo::Vision::ResNet::BottleneckV2;    ## no critic (ProhibitMultiplePackages)
use AI::MXNet::Gluon::NN qw(nn);
use AI::MXNet::Gluon::Mouse;
extends 'AI::MXNet::Gluon::ModelZoo::Vision::ResNet::BlockV2';

sub convs
{
    my $self = shift;
    my $narrow = int($self->channels / 4);
    return (
        sub { nn->Conv2D($narrow, 1, 1, use_bias => 0) },
        sub { AI::MXNet::Gluon::ModelZoo::Vision::ResNet::Block::conv3x3($narrow, $self->stride, $narrow) },
        sub { nn->Conv2D($self->channels, 1, 1, use_bias => 0) }
    );
}

# -- the networks

package AI::MXNet::Gluon::ModelZoo::Vision::ResNet::Net;    ## no critic (ProhibitMultiplePackages)
use AI::MXNet::Gluon::NN qw(nn);
use AI::MXNet::Gluon::ModelZoo::Vision::Classifier;
use AI::MXNet::Gluon::Mouse;
extends 'AI::MXNet::Gluon::ModelZoo::Vision::Classifier';

has block => (is => 'ro', isa => 'Str', required => 1);
has [qw(layers channels)] => (is => 'ro', isa => 'ArrayRef[Int]', required => 1);
has thumbnail => (is => 'ro', isa => 'Bool', default => 0);

sub add_stem
{
    my ($self, $features) = @_;
    my $first = $self->channels->[0];
    if ($self->thumbnail) {
        $features->add(AI::MXNet::Gluon::ModelZoo::Vision::ResNet::Block::conv3x3($first, 1, 0));
    } else {
        $features->add(
            nn->Conv2D($first, 7, 2, 3, use_bias => 0), nn->BatchNorm,
            nn->Activation('relu'), nn->MaxPool2D(3, 2, 1)
        );
    }
    return;
}

sub add_stages
{
    my ($self, $features) = @_;
    my ($version) = $self->class =~ /(V\d)$/;
    my $kind = $self->block eq 'Basic' ? 'BasicBlock' : $self->block;
    my $class = "AI::MXNet::Gluon::ModelZoo::Vision::ResNet::$kind$version";
    my $channels = $self->channels;
    for my $i (0 .. $#{ $self->layers }) {
        my ($in, $out) = @$channels[$i, $i + 1];
        my $stage = nn->HybridSequential(prefix => 'stage' . ($i + 1) . '_');
        $stage->name_scope(
            sub {
                $stage->add(
                    $class->new(
                        channels => $out,
                        stride => $i == 0 ? 1 : 2,
                        downsample => $out != $in,
                        in_channels => $in,
                        prefix => ''
                    )
                );
                $stage->add($class->new(channels => $out, in_channels => $out, prefix => ''))
                    for 2 .. $self->layers->[$i];
            }
        );
        $features->add($stage);
    }
    return;
}

sub make_output { return nn->Dense($_[0]->classes, in_units => $_[0]->channels->[-1]) }

package AI::MXNet::Gluon::ModelZoo::Vision::ResNet::V1;    ## no critic (ProhibitMultiplePackages)
use AI::MXNet::Gluon::NN qw(nn);
use AI::MXNet::Gluon::Mouse;
extends 'AI::MXNet::Gluon::ModelZoo::Vision::ResNet::Net';

sub make_features
{
    my ($self, $features) = @_;
    $self->add_stem($features);
    $self->add_stages($features);
    $features->add(nn->GlobalAvgPool2D);
    return;
}

package AI::MXNet::Gluon::ModelZoo::Vision::ResNet::V2;    ## no critic (ProhibitMultiplePackages)
use AI::MXNet::Gluon::NN qw(nn);
use AI::MXNet::Gluon::Mouse;
extends 'AI::MXNet::Gluon::ModelZoo::Vision::ResNet::Net';

sub make_features
{
    my ($self, $features) = @_;
    $features->add(nn->BatchNorm(scale => 0, center => 0));
    $self->add_stem($features);
    $self->add_stages($features);
    $features->add(nn->BatchNorm, nn->Activation('relu'), nn->GlobalAvgPool2D, nn->Flatten);
    return;
}

1;
